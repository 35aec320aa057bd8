"""Write the cells of all sections into one notebook, for Jupyter to execute.

In the folder of the examples:

python -m paper.notebook
NTK_PRIOR_DATA=DIR jupyter nbconvert --to notebook --inplace --execute reproduce_paper.ipynb
jupyter nbconvert --to notebook --inplace --ClearMetadataPreprocessor.enabled=True reproduce_paper.ipynb
"""

from __future__ import annotations

from pathlib import Path

import jupytext
from nbformat import NotebookNode

from paper import SECTIONS

FOLDER = Path(__file__).parent
FIRST = "# %% [markdown]\n"


def cells() -> NotebookNode:
    """The sections in their order, without what stands above their first cells: a notebook has imported it by then."""
    texts = [(FOLDER / f"{section}.py").read_text(encoding="utf-8") for section in SECTIONS]
    return jupytext.reads("\n".join(FIRST + text.partition(FIRST)[2] for text in texts), fmt="py:percent")


if __name__ == "__main__":
    jupytext.write(cells(), FOLDER.with_name("reproduce_paper.ipynb"))

"""The paper's claims against what was measured."""

from __future__ import annotations

from paper.setting import IN_NOTEBOOK, args, claims, print_claims

# %% [markdown]
# ## 10. Claims against measurements
#
# A claim *holds* if the measured number lies in the accepted interval. *Unresolved* marks a grid that is too small to
# tell. The abstract's experiments are trainings of finite networks; the maps here are those of infinitely wide ones,
# trained exactly, as in the authors' notebook.

# %%
print_claims()
verdicts = [row.verdict for row in claims]
print(f"\n{len(claims)} claims: " + ", ".join(f"{verdicts.count(v)} {v}" for v in ("holds", "FAILS", "unresolved")))
if not IN_NOTEBOOK:
    print(f"figures: {args.output}")

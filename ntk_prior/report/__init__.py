"""What a prior did in a run, as one page that needs no network (extra ``report``).

It takes plain records, whichever tuner they are from: ``write_page(Run(...), path)``.
"""

from ntk_prior.report.html_page import build_page, write_page
from ntk_prior.runs.run import Row, Run
from ntk_prior.runs.summary import Summary, summarize

__all__ = ["Row", "Run", "Summary", "build_page", "summarize", "write_page"]

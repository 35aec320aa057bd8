"""What a prior did in a run, as one page that needs no network (extra ``report``).

It takes plain records, whichever tuner they are from: ``write(Run(...), path)``.
"""

from ntk_prior.report.html_page import page, write
from ntk_prior.runs.run import Row, Run
from ntk_prior.runs.summary import Summary, summarize

__all__ = ["Row", "Run", "Summary", "page", "summarize", "write"]

"""What a prior did in a run, as one page that needs no network (extra ``report``).

It takes plain records, whichever tuner they are from: ``write(Run(...), path)``.
"""

from ntk_prior_report.page import page, write
from ntk_prior_report.records import Row, Run
from ntk_prior_report.summary import Summary, summarised

__all__ = ["Row", "Run", "Summary", "page", "summarised", "write"]

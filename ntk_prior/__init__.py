"""ntk-prior: a hyperparameter prior that keeps hopeless neural networks from being launched.

The spectrum of the Neural Tangent Kernel at initialisation says, in microseconds, whether a network can be trained
within a budget and whether what it learns carries over to test inputs (Xiao, Pennington and Schoenholz,
arXiv 1912.13053).
"""

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.calibration import Calibration, CalibrationReport
from ntk_prior.explanation import max_learning_rate
from ntk_prior.feasibility import DEFAULT_THRESHOLD, Feasibility, Verdict, feasibility, feasibility_from_spectrum
from ntk_prior.measured import LearningCurve, MeasuredSpectrum, learning_curve, measured_spectrum
from ntk_prior.outcomes import FinishedTrial
from ntk_prior.plots import PlottedTrial, plot_phase_diagram, plot_spectrum
from ntk_prior.prior import NTKPrior
from ntk_prior.spectrum import Spectrum, spectrum
from ntk_prior.table import FeasibilityTable
from ntk_prior.task import Task

__all__ = [
    "DEFAULT_THRESHOLD",
    "Architecture",
    "Budget",
    "Calibration",
    "CalibrationReport",
    "Feasibility",
    "FeasibilityTable",
    "FinishedTrial",
    "LearningCurve",
    "MeasuredSpectrum",
    "NTKPrior",
    "PlottedTrial",
    "Spectrum",
    "Task",
    "Verdict",
    "feasibility",
    "feasibility_from_spectrum",
    "learning_curve",
    "max_learning_rate",
    "measured_spectrum",
    "plot_phase_diagram",
    "plot_spectrum",
    "spectrum",
]

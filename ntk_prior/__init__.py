"""ntk-prior: a hyperparameter prior that keeps hopeless neural networks from being launched.

The spectrum of the Neural Tangent Kernel at initialisation says, in microseconds, whether a network can be trained
within a budget and whether what it learns carries over to test inputs (Xiao, Pennington and Schoenholz,
arXiv 1912.13053).
"""

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.plots import plot_phase_diagram, plot_spectrum
from ntk_prior.prior import NTKPrior
from ntk_prior.runs.trial import PlottedTrial
from ntk_prior.task.task import Task
from ntk_prior.theory.measured import MeasuredSpectrum, measured_spectrum
from ntk_prior.theory.regression import LearningCurve, learning_curve
from ntk_prior.theory.spectrum import Spectrum, spectrum
from ntk_prior.verdict.batch import FeasibilityTable
from ntk_prior.verdict.calibration import Calibration, CalibrationReport
from ntk_prior.verdict.feasibility import (
    DEFAULT_THRESHOLD,
    Feasibility,
    Verdict,
    feasibility,
    feasibility_from_spectrum,
)
from ntk_prior.verdict.outcomes import FinishedTrial
from ntk_prior.verdict.stable_rate import max_learning_rate

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

__version__ = "0.1.0"

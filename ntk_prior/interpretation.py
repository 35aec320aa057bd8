"""What a configuration of any search space stands for: a network and a training, or nothing that the theory knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ntk_prior.architecture import Architecture
from ntk_prior.budget import Budget
from ntk_prior.checks import is_set, named, shown
from ntk_prior.configuration import (
    FIELDS,
    REQUIRED,
    Configuration,
    architecture_of,
    budget_of,
    require_spelling,
    set_fields,
)
from ntk_prior.watched import Watched, flat, without

ToArchitecture = Callable[[Configuration], "Architecture | Configuration | None"]

UNMAPPED = "to_architecture does not know this configuration"


class Unclear(NamedTuple):
    """Why a configuration stands for no network.

    Attributes:
        kind: What such configurations have in common.
        reason: What the verdict says.
    """

    kind: str
    reason: str


@dataclass(frozen=True)
class Interpreter:
    """Reads configurations.

    Attributes:
        budget: What holds where a configuration says nothing of its training.
        to_architecture: Maps a configuration to the names of fields, or to a network; None if it has these names.
    """

    budget: Budget
    to_architecture: ToArchitecture | None

    def interpret(self, config: Configuration) -> tuple[Architecture, Budget] | Unclear:
        """The network and the training that a configuration stands for, or why it stands for none.

        Raises:
            TypeError: If a value has the wrong type, or ``to_architecture`` returns anything else than it may.
            ValueError: If a value lies outside its range, or a name is almost that of a field.
        """
        mapped = self._map(config)
        if isinstance(mapped, Unclear):
            return mapped
        if isinstance(mapped, Architecture):
            return mapped, self.budget
        require_spelling(tuple(mapped))
        fields = set_fields(mapped)
        budget = budget_of(fields, self.budget)
        missing = [name for name in REQUIRED if name not in fields]
        if missing:
            return self._lacking(missing, [str(name) for name in mapped if is_set(mapped[name])])
        return architecture_of(fields), budget

    def unread(self, config: Configuration) -> tuple[str, ...]:
        """The parameters that change nothing of what a configuration stands for, as ``NTKPrior.unread`` says."""
        entries = flat(config)
        if self.to_architecture is None:
            return tuple(name for name in entries if name not in FIELDS)
        read: set[str] = set()
        try:
            mapped = self._map(Watched(config, read))
        except Exception:  # the user's code; to judge the configuration says what is wrong with it
            return ()
        if isinstance(mapped, Unclear):
            return ()
        if isinstance(mapped, Watched):
            # The configuration, or a part of it, as it is: the prior itself reads the fields there.
            for name in FIELDS:
                mapped.get(name)
        elif isinstance(mapped, Mapping):
            read -= {name for name in read & {*entries} if self._is_only_copied(name, entries[name], config, mapped)}
            # A name that only the mapping uses, and that is no field, is meant to be one.
            own = {name.rpartition("/")[2] for name in entries}
            added = tuple(name for name in mapped if name not in FIELDS and name not in own)
            return (*(name for name in entries if name not in read), *added)
        return tuple(name for name in entries if name not in read)

    def _map(self, config: Configuration) -> Architecture | Configuration | Unclear:
        """What ``to_architecture`` makes of a configuration, or why it makes nothing of it."""
        if self.to_architecture is None:
            return config
        try:
            mapped = self.to_architecture(config)
        except KeyError as error:
            return Unclear(UNMAPPED, f"{UNMAPPED} (KeyError: {shown(error.args[0]) if error.args else ''})")
        if mapped is None:
            return Unclear(UNMAPPED, f"{UNMAPPED} (it returned None)")
        if not isinstance(mapped, Architecture | Mapping):
            raise TypeError(
                "to_architecture: expected an Architecture, a mapping of field names, or None, "
                f"received {shown(mapped)}"
            )
        return mapped

    def _is_only_copied(self, flat_name: str, value: Any, config: Configuration, mapped: Configuration) -> bool:
        """Whether a parameter stands in what ``to_architecture`` returned, and nothing would change without it."""
        name = flat_name.rpartition("/")[2]
        if name not in mapped or (name in FIELDS and mapped[name] is value):
            return False
        try:
            return self.interpret(without(config, flat_name)) == self.interpret(config)
        except Exception:  # the user's code, which has read the parameter if it fails without
            return False

    def _lacking(self, missing: Sequence[str], given: Sequence[str]) -> Unclear:
        """Why a configuration without some fields says too little."""
        lacks = f"lacks {', '.join(missing)}"
        has = f" and has {named(*given)}" if given else ""
        if self.to_architecture is not None:
            problem = f"what to_architecture returned {lacks}"
            return Unclear(f"outside the theory: {problem}", problem + has)
        problem = f"the configuration {lacks}"
        remedy = "NTKPrior(..., to_architecture) maps other names"
        return Unclear(f"outside the theory: {problem}", f"{problem}{has}; {remedy}")

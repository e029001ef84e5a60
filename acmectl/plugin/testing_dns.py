"""The contract of a DNS provider, as tests that its author inherits.

::

    from acmectl.plugin.testing_dns import DnsProviderContract

    class TestMine(DnsProviderContract):
        zone = "example.org"

        def make(self):
            return Mine({}, {"api_token": "..."}, self.context)

        def values(self, name):
            return ask_the_test_server(name)

The class needs nothing but pytest to run it. Every test says in words what went wrong.
"""

from __future__ import annotations

import re
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from acmectl.plugin.api import Context, PluginError
from acmectl.plugin.dns import DnsProvider, TxtRecord
from acmectl.plugin.testing import _OPTION_NAME, _NetworkWatch, _require, make_context

__all__ = ["DnsProviderContract", "foreign_modules"]

_CREDENTIAL_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_VALUES = ("LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ", "gfj9Xq-Rg85nM9EFjCUiXP0JxxXcqqsTQOgs1mZ3Vw0")
_FOREIGN = "somebody else's value"


def foreign_modules(module: str) -> set[str]:
    """Top-level names of what importing ``module`` imports beside Python, acmectl and the module's own package.

    It runs a Python of its own, so what has been imported here does not count.
    """
    own = {module.partition(".")[0], "acmectl", *sys.stdlib_module_names}
    # What the interpreter loads at its start (.pth files) is not the module's doing.
    script = (
        "import sys; before = set(sys.modules); import importlib; importlib.import_module(sys.argv[1]); "
        "print('\\n'.join(set(sys.modules) - before))"
    )
    paths = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {paths!r}; {script}", module],
        capture_output=True,
        text=True,
        check=False,
    )
    _require(done.returncode == 0, f"{module} cannot be imported:\n{done.stderr}")
    return {name.partition(".")[0] for name in done.stdout.split()} - own


class DnsProviderContract(ABC):
    """What every DNS provider must do. Derive, define ``make`` and ``values``, and let pytest collect the class.

    ``zone`` is one that the account may change. Records are made below ``host`` in it. ``keeps_foreign_values``: False
    for a service that can hold acmectl's values alone. Set ``context`` in a fixture to use your own.
    """

    zone: str = "example.test"
    host: str = "_acme-challenge.contract"
    keeps_foreign_values: bool = True
    context: Context

    def setup_method(self) -> None:
        """Give each test a context of its own."""
        self.context = make_context()

    @abstractmethod
    def make(self) -> DnsProvider:
        """A new instance with options and credentials that work, made with ``self.context``."""

    @abstractmethod
    def values(self, name: str) -> Collection[str]:
        """The TXT values that are under ``name`` (absolute, without trailing dot) now."""

    def record(self, value: str, host: str | None = None) -> TxtRecord:
        """A record that the tests put there."""
        name = f"{self.host if host is None else host}.{self.zone}"
        return TxtRecord(name=name, value=value, zone=self.zone, ttl=self.make().ttl)

    def test_it_says_what_it_is(self) -> None:
        plugin = self.make()
        _require(bool(plugin.summary.strip()) and "\n" not in plugin.summary, "summary must be one line")
        _require(plugin.ttl > 0, "ttl must be a number of seconds")
        _require(plugin.propagation_seconds >= 0, "propagation_seconds must be a number of seconds")

    def test_its_options_and_credentials_are_well_formed(self) -> None:
        plugin = self.make()
        for option in plugin.options:
            _require(
                bool(_OPTION_NAME.fullmatch(option.name)), f"option {option.name!r} must be lower-case-with-dashes"
            )
            _require(bool(option.help.strip()), f"option {option.name} needs a help text")
            _require(not (option.secret and option.default), f"secret option {option.name} must not have a default")
        for one in plugin.credentials:
            _require(
                bool(_CREDENTIAL_NAME.fullmatch(one.name)),
                f"credential {one.name!r} must be lower_case_with_underscores",
            )
            _require(bool(one.help.strip()), f"credential {one.name} needs a help text")
        for names in ([option.name for option in plugin.options], [one.name for one in plugin.credentials]):
            _require(len(names) == len(set(names)), "two options or two credentials have the same name")

    def test_importing_its_module_imports_nothing_else(self) -> None:
        foreign = foreign_modules(type(self.make()).__module__)
        _require(not foreign, f"importing the module imports {', '.join(sorted(foreign))}: import it where it is used")

    def test_making_and_checking_one_touches_no_network(self) -> None:
        with _NetworkWatch() as watch:
            self.make().check()
        _require(not watch.seen, f"the constructor or check used the network: {', '.join(watch.seen)}")

    def test_its_repr_gives_no_secret_away(self) -> None:
        plugin = self.make()
        public = {one.name for one in plugin.credentials if not one.secret}
        for name, value in plugin.secrets.items():
            if name not in public and value:
                _require(value not in repr(plugin), f"repr shows the value of {name}")

    def test_its_zone_is_one_that_the_record_lies_in(self) -> None:
        name = self.record(_VALUES[0]).name
        found = self.make().find_zone(name)
        _require(found is None or found == name or name.endswith(f".{found}"), f"find_zone({name!r}) gives {found!r}")

    def test_a_value_is_there_until_it_is_removed(self) -> None:
        record = self.record(_VALUES[0])
        try:
            self._do(added=[record])
            self._require_there(record)
        finally:
            self._do(removed=[record])
        self._require_gone(record)

    def test_one_instance_adds_and_removes(self) -> None:
        plugin, record = self.make(), self.record(_VALUES[0])
        for _round in range(2):
            try:
                self._do(plugin, added=[record])
                self._require_there(record)
            finally:
                self._do(plugin, removed=[record])
            self._require_gone(record)

    def test_adding_twice_is_harmless(self) -> None:
        record = self.record(_VALUES[0])
        try:
            self._do(added=[record])
            self._do(added=[record])
            count = list(self.values(record.name)).count(record.value)
            _require(count == 1, f"the value is there {count} times after it was added twice")
        finally:
            self._do(removed=[record])
        self._require_gone(record)

    def test_removing_twice_or_what_is_not_there_is_harmless(self) -> None:
        record = self.record(_VALUES[0])
        self._do(removed=[record])
        self._do(added=[record])
        self._do(removed=[record])
        self._do(removed=[record])
        self._require_gone(record)

    def test_values_under_one_name_stand_side_by_side(self) -> None:
        first, second = (self.record(value) for value in _VALUES)
        try:
            self._do(added=[first, second])
            self._require_there(first)
            self._require_there(second)
            self._do(removed=[first])
            self._require_gone(first)
            self._require_there(second)
        finally:
            self._do(removed=[first, second])
        self._require_gone(second)

    def test_values_of_others_are_left_alone(self) -> None:
        if not self.keeps_foreign_values:
            return
        foreign, record = self.record(_FOREIGN), self.record(_VALUES[0])
        try:
            self._do(added=[foreign])
            self._do(added=[record])
            self._require_there(foreign)
            self._do(removed=[record])
            self._require_there(foreign)
        finally:
            self._do(removed=[foreign, record])

    def test_names_do_not_get_in_each_others_way(self) -> None:
        one = self.record(_VALUES[0])
        other = self.record(_VALUES[0], f"{self.host}-2")
        try:
            self._do(added=[one, other])
            self._do(removed=[one])
            self._require_gone(one)
            self._require_there(other)
        finally:
            self._do(removed=[one, other])
        self._require_gone(other)

    def test_committing_nothing_is_harmless(self) -> None:
        self.make().commit()

    def _do(
        self, plugin: DnsProvider | None = None, *, added: Sequence[TxtRecord] = (), removed: Sequence[TxtRecord] = ()
    ) -> None:
        """As the engine does it; without ``plugin`` by a new instance, as in another process."""
        plugin = plugin or self.make()
        try:
            for record in added:
                plugin.add(record)
            for record in removed:
                plugin.remove(record)
            plugin.commit()
        except PluginError as error:
            raise AssertionError(f"the provider said no: {error.message}") from error

    def _require_there(self, record: TxtRecord) -> None:
        _require(record.value in self.values(record.name), f"{record.name} does not have the value that was added")

    def _require_gone(self, record: TxtRecord) -> None:
        _require(record.value not in self.values(record.name), f"{record.name} still has the value that was removed")

"""Where a rollout is shown, and in which form."""

from dataclasses import dataclass

from rich.console import Console

from loadbalancer.config.model import RolloutSettings
from loadbalancer.display.rollout import Json, Lines, Screen, View
from loadbalancer.rollout import choice


@dataclass
class Terminal:
    """Where it is shown: live, as lines, or as JSON."""

    console: Console
    machine: bool = False

    def view(self, settings: RolloutSettings) -> View:
        """Choose how to show a rollout."""
        if self.machine:
            return Json()
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            return Screen(self.console, choice.chosen(settings))
        return Lines(self.console)

    def say(self, text: str) -> None:
        """Print a text as it is: not wrapped, and with its brackets."""
        self.console.print(text, soft_wrap=True, markup=False)

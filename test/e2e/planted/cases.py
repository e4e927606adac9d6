"""What a planted error is: an edit of a valid input, a command, and the message that must come."""
import dataclasses

CASES = []


@dataclasses.dataclass
class Case:
    category: str
    """Of the run file `base`: replacements (old, new), or its whole text. `^` in a replacement marks the place."""
    run: object
    message: str
    base: str = "models/deepseek-v3/nano.json"
    """file:line:column; empty: where `^` stands."""
    place: str = ""
    """The message goes on behind what is expected."""
    prefix: bool = False
    """As `run`, of the model and of a config.json; without one the configuration is in the run file."""
    model: object = None
    config: object = None
    """Arguments of contraflow, or of the trainer; {trainer}, {data} and {checkpoint} are those of the suite."""
    command: str = "inspect run.json"
    program: str = "contraflow"
    """Further lines."""
    also: tuple = ()
    """Files to be there: name -> bytes, or a function that makes it. Links: name -> target."""
    files: dict = dataclasses.field(default_factory=dict)
    links: dict = dataclasses.field(default_factory=dict)
    """Shell code around the command, {command} in it."""
    shell: str = "{command}"
    kind: str = "error"
    status: int = 1
    """Files that may be there afterwards, besides those of before."""
    made: tuple = ()


def case(category, run, message, **more):
    CASES.append(Case(category, run, message, **more))


def warning(category, run, message, **more):
    CASES.append(Case(category, run, message, kind="warning", status=0, **more))


def usage(category, command, message, **more):
    """An error of a command line: no place, status 2."""
    CASES.append(Case(category, [], message, command=command, place="contraflow", status=2, **more))


def plain(category, command, message, **more):
    """An error without a place."""
    CASES.append(Case(category, more.pop("run", []), message, command=command, place="contraflow", **more))

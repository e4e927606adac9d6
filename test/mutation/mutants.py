"""Finds places in C++ sources where one token or call can be changed, and writes all changes into one text.

A change is guarded by `contraflow::mutation::isActive(N)` (Mutation.h), so that one build holds every mutant. Nothing
here is hand-picked: operators of mutation are patterns, and the order in which places are taken is that of a hash of
their text, which neither lines nor edits elsewhere change.
"""
import dataclasses
import hashlib
import re

MASKED = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|^[ \t]*#[^\n]*',
                    re.M | re.S)
PAIRS = {"(": ")", "[": "]", "{": "}"}


def mask(text):
    """`text` with comments and directives blanked, the inside of literals made underscores, and every byte at its
    place."""
    def blank(match):
        found = match.group()
        if found[0] in "\"'" or found.startswith('R"'):
            return found[0] + re.sub(r"[^\n]", "_", found[1:-1]) + found[-1]
        return re.sub(r"[^\n]", " ", found)
    return MASKED.sub(blank, text)


def end_of_group(code, begin):
    """Where the bracket at `begin` closes."""
    depth = 0
    for at in range(begin, len(code)):
        depth += (code[at] in PAIRS) - (code[at] in PAIRS.values())
        if depth == 0:
            return at
    raise ValueError("a bracket does not close")


def end_of_operand(code, begin):
    """Where the operand of && or || that begins here ends."""
    at = begin
    while at < len(code):
        if code[at] in PAIRS:
            at = end_of_group(code, at)
        elif code[at] in ")]};,?:" and code[at:at + 2] != "::" and code[at - 1:at + 1] != "::" \
                or code[at:at + 2] in ("&&", "||"):
            return len(code[:at].rstrip())
        at += 1
    raise ValueError("an operand does not end")


def split_arguments(code, begin, end):
    """Where the arguments between two brackets begin and end."""
    arguments, start, at = [], begin + 1, begin + 1
    while at < end:
        if code[at] in PAIRS:
            at = end_of_group(code, at)
        elif code[at] == ",":
            arguments.append((start, at))
            start = at + 1
        at += 1
    return arguments + [(start, end)]


@dataclasses.dataclass
class Mutant:
    path: str
    kind: str
    begin: int
    end: int
    #: Takes the guard, `isActive(N)`, and returns what stands in place of [begin, end).
    render: object
    #: The line, stripped: how people and the list of survivors name the place.
    line: str = ""
    #: Among places of one kind in equal lines.
    occurrence: int = 0
    change: str = ""

    def key(self):
        text = f"{self.path}\0{self.kind}\0{self.change}\0{self.line}\0{self.occurrence}"
        return hashlib.sha256(text.encode()).hexdigest()


class Finder:
    """All places of one file."""

    def __init__(self, path, text):
        self.path, self.text, self.code, self.mutants = path, text, mask(text), []

    def add(self, kind, begin, end, change, render):
        self.mutants.append(Mutant(self.path, kind, begin, end, render, change=change))

    def replace(self, kind, begin, end, other):
        """A choice of two expressions."""
        old = self.text[begin:end]
        self.add(kind, begin, end, f"{' '.join(old.split())} -> {' '.join(other.split())}",
                 lambda guard: f"({guard} ? {other} : {old})")

    def find_operators(self):
        names = {"<": "Less", "<=": "LessEqual", ">": "Greater", ">=": "GreaterEqual", "==": "Equal", "!=": "NotEqual",
                 "+": "Plus", "-": "Minus", "*": "Times", "/": "Over", "%": "Modulo"}
        others = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "*": "+",
                  "/": "*", "%": "/"}
        for match in re.finditer(r"(?<=[\w)\]]) (<=|>=|==|!=|<|>|\+|-|\*|/|%)(?=\s)", self.code):
            old = match.group(1)
            kind = "relation" if names[old] in ("Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual") \
                else "arithmetic"
            self.add(kind, match.start(1), match.end(1), f"{old} -> {others[old]}",
                     lambda guard, old=old: f"{old} ::contraflow::mutation::{names[old]}{{{guard.id}}} {old}")

    def find_operands(self):
        for match in re.finditer(r" (&&|\|\|)\s+(?=[\w!(*:-])", self.code):
            end = end_of_operand(self.code, match.end())
            neutral, old = ("true" if match.group(1) == "&&" else "false"), self.text[match.end():end]
            self.add("drop-operand", match.end(), end, f"{match.group(1)} {' '.join(old.split())} -> dropped",
                     lambda guard, old=old, neutral=neutral:
                     f"({guard} ? {neutral} : static_cast<bool>({old}))")

    def find_conditions(self):
        for match in re.finditer(r"\bif (?=\()", self.code):
            end = end_of_group(self.code, match.end())
            begin = match.end() + 1
            semicolon = self.code.rfind(";", begin, end)
            begin = semicolon + 1 if semicolon >= 0 else begin
            if re.search(r"[^=!<>]=[^=]", self.code[begin:end]):
                continue  # Declares what it looks at.
            old = self.text[begin:end]
            for kind, value in (("never", "false"), ("always", "true")):
                self.add(kind, begin, end, f"if ({' '.join(old.split())}) -> if ({value})",
                         lambda guard, old=old, value=value: f" {guard} ? {value} : static_cast<bool>({old})")

    def find_literals(self):
        for match in re.finditer(r"(?<![\w.\"'])(\d{1,3})(?![\w.'])", self.code):
            before = self.code[max(0, match.start() - 24):match.start()]
            if re.search(r"(<[\w\s:,]*|case |alignas\()$", before) and not re.search(r"[\w)] < $", before):
                continue  # An argument of a template.
            old = int(match.group(1))
            other = old - 1 if old in (1, 2) else old + 1
            self.replace("literal", match.start(1), match.end(1), str(other))

    def find_statements(self):
        for match in re.finditer(r"(?<=[;{})\n])\n *((?!(?:return|using|auto|const|else|delete)\b)[\w.:>()\[\]*-]+"
                                 r"(?:\(| (?:[-+*/%&|]?=) ))", self.code):
            begin = match.start(1)
            at = begin
            while at < len(self.code) and self.code[at] not in ";{":
                at = end_of_group(self.code, at) + 1 if self.code[at] in "([" else at + 1
            if at >= len(self.code) or self.code[at] != ";" or "\n\n" in self.code[begin:at]:
                # With a body among its arguments it may still be one statement.
                continue
            old = self.text[begin:at + 1]
            if re.match(r"[\w:<>]+ [\w]+[({]", self.code[begin:at]) or self.code[begin:at].startswith("LLVM_DEBUG"):
                continue
            self.add("drop-statement", begin, at + 1, f"{' '.join(old.split())} -> dropped",
                     lambda guard, old=old: f"{{ if (!{guard}) {old} }}")

    def find_results(self):
        others = {"success()": "failure()", "failure()": "success()", "true": "false", "false": "true"}
        for match in re.finditer(r"\breturn ((?:mlir::)?(?:success\(\)|failure\(\)|true|false));", self.code):
            other = others[match.group(1)]
            old = match.group(1)
            self.add("result", match.start(), match.end(), f"return {old} -> return {other}",
                     lambda guard, old=old, other=other:
                     f"{{ if ({guard}) return {other}; return {old}; }}")

    #: A call becomes one of another function that takes the same arguments.
    CALLS = {"std::max": "std::min", "std::min": "std::max", "addf": "subf", "subf": "addf", "mulf": "addf",
             "divf": "mulf", "addDims": "subtractDims", "multiplyDims": "addDims", "rowSum": "rowMax",
             "rowMax": "rowSum", "greater": "less", "less": "greater", "llvm::divideCeil": "llvm::divideFloorSigned",
             "lower_bound": "upper_bound", "upper_bound": "lower_bound", "any_of": "all_of", "all_of": "any_of",
             "take_front": "drop_front", "drop_front": "take_front"}
    #: Names without arguments, or enumerators.
    NAMES = {"getLhs()": "getRhs()", "getRhs()": "getLhs()", "getGate()": "getUp()", "getUp()": "getGate()",
             "getInput()": "getOutput()", "getKey()": "getValue()", "getQuery()": "getKey()",
             "CmpFPredicate::OGT": "CmpFPredicate::OGE", "CmpIPredicate::sge": "CmpIPredicate::sgt",
             "getNumInputs()": "getNumResults()", "getNumResults()": "getNumInputs()"}

    def find_calls(self):
        for old, other in self.CALLS.items():
            for match in re.finditer(rf"(?<![\w:]){re.escape(old)}(?=[(<])", self.code):
                # The object before it belongs to both.
                head = re.search(r"(?:[\w>]+(?:\.|->))?$", self.code[:match.start()]).group()
                begin = match.start() - len(head)
                opening = self.code.find("(", match.end())
                end = end_of_group(self.code, opening) + 1
                arguments = self.text[match.end():end]
                self.replace("call", begin, end, f"{head}{other}{arguments}")
        for old, other in self.NAMES.items():
            for match in re.finditer(rf"(?<!\w){re.escape(old)}", self.code):
                head = re.search(r"(?:[\w>]+(?:\.|->))?$", self.code[:match.start()]).group()
                if "::" in old:
                    head = re.search(r"(?:\w+::)*$", self.code[:match.start()]).group()
                begin = match.start() - len(head)
                self.replace("name", begin, match.end(), head + other)

    def find_checks(self):
        for match in re.finditer(r"\b(?:check|Check\(\*?\w+\))\.(?!error\b)\w+(?=\()", self.code):
            end = end_of_group(self.code, match.end()) + 1
            self.replace("drop-check", match.start(), end, "::mlir::success()")

    def find_selects(self):
        for match in re.finditer(r"\bselect(?=\()", self.code):
            end = end_of_group(self.code, match.end())
            arguments = split_arguments(self.code, match.end(), end)
            if len(arguments) != 3:
                continue
            head = re.search(r"(?:\w+(?:\.|->))?$", self.code[:match.start()]).group()
            condition, yes, no = (self.text[begin:stop].strip() for begin, stop in arguments)
            self.replace("swap", match.start() - len(head), end + 1, f"{head}select({condition}, {no}, {yes})")

    def find(self, functions):
        """Every mutant inside functions whose names match."""
        for finder in (self.find_operators, self.find_operands, self.find_conditions, self.find_literals,
                       self.find_statements, self.find_results, self.find_calls, self.find_checks, self.find_selects):
            finder()
        bodies = list(self.find_bodies(functions))
        inside = [m for m in self.mutants if any(begin <= m.begin and m.end <= end for begin, end in bodies)]
        counts = {}
        for mutant in sorted(inside, key=lambda m: m.begin):
            mutant.line = " ".join(self.text[self.text.rfind("\n", 0, mutant.begin) + 1:
                                             self.text.find("\n", mutant.begin)].split())
            place = (mutant.kind, mutant.change, mutant.line)
            mutant.occurrence = counts[place] = counts.get(place, -1) + 1
        return inside

    def find_bodies(self, functions):
        """Bodies of functions: what a brace after a parenthesis (and const, override) opens, below namespaces and
        classes only."""
        pattern = re.compile(r"\b([\w~]+(?:::[\w~]+)*)\((?:[^(){};]|\([^(){};]*\)|\{\})*\)"
                             r"(?: const| override| noexcept| -> [\w:<> ]+)*\s*(?::[^{};]*(?:\{[^{}]*\}[^{};]*)*)?\{")
        at = 0
        while match := pattern.search(self.code, at):
            name = match.group(1)
            end = end_of_group(self.code, match.end() - 1)
            if name in ("if", "for", "while", "switch"):
                at = match.end()
                continue
            if re.search(functions, name):
                yield match.end(), end
            at = end


def find_mutants(path, text, functions):
    return Finder(path, text).find(functions)


class Guard(str):
    """`isActive(N)`, and N."""

    def __new__(cls, number):
        guard = super().__new__(cls, f"::contraflow::mutation::isActive({number})")
        guard.id = number
        return guard


def apply(text, mutants):
    """`text` with all mutants of one file, {number: mutant}, whose places do not overlap."""
    for number, mutant in sorted(mutants.items(), key=lambda item: -item[1].begin):
        text = text[:mutant.begin] + mutant.render(Guard(number)) + text[mutant.end:]
    include = '#include "test/mutation/Mutation.h"\n'
    at = text.index("#include")
    return text[:at] + include + text[at:]

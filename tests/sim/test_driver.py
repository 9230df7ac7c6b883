#!/usr/bin/python3
"""The command of the simulations (driver.c): what it refuses, what it exits with, and that what it prints is enough to see a
finding again.  Arguments: the three commands."""

import re
import subprocess
import sys
import unittest

COMMANDS = {path.rsplit("/", 1)[-1]: path for path in sys.argv[1:]}
FOUND = re.compile(r"^FOUND \S+ at [0-9.]+ s: .*$", re.M)
HASH = re.compile(r"^[0-9]+ events, [0-9]+ frames, .*, hash [0-9a-f]{16}$", re.M)

# In these the first broken thing is found soon.
FAMILIES = {"sim": "carp", "sim-cluster": "daemons", "sim-fleet": "moves"}

# "…": of each command its own family.
WRONG = ["", "--seeds", "--seeds 5", "--seeds 9..5", "--seeds 1..x", "--seeds 1..", "--seeds -1..5", "--seeds 1..2..3", "--seed",
         "--seed x", "--seed 1x", "--seed 1..2", "--small 2/2", "--small 1/0", "--small half", "--small-case",
         "--small-case 99999999", "--small-case 0..1", "--replay 3", "--prove 1", "--nonsense", "nonsense", "--trace",
         "--break 1", "--seed 1 --seeds 1..2", "--seeds 1..2 --trace", "--small --trace", "--seed 1 --scenario",
         "--seed 1 --scenario nonsense", "--small --scenario …", "--prove --scenario …", "--seed 1 --break 0",
         "--seed 1 --break 99", "--prove --break 1", "--scale 0", "--scale x 1", "--scale --trace"]


def run(command, *arguments):
    return subprocess.run([COMMANDS[command], *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Driver(unittest.TestCase):
    def test_there_are_commands(self):
        self.assertEqual(sorted(COMMANDS), sorted(FAMILIES))
        for command, family in FAMILIES.items():
            self.assertRegex(run(command).stderr, rf"FAMILY is one of [^;]*\b{family}\b")

    def test_wrong_arguments(self):
        for command in COMMANDS:
            for line in WRONG:
                with self.subTest(command=command, line=line):
                    got = run(command, *line.replace("…", FAMILIES[command]).split())
                    self.assertEqual((got.returncode, got.stdout), (2, ""))
                    self.assertIn(f"{command}, with one of\n--seeds FIRST..LAST", got.stderr)

    def test_only_fleets_have_a_scale(self):
        for command in COMMANDS:
            got = run(command)
            self.assertEqual("--scale" in got.stderr, command == "sim-fleet")
            self.assertEqual(run(command, "--scale", "3", "300").returncode, 0 if command == "sim-fleet" else 2)

    def test_rules_that_hold(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                for line, runs in (["--seeds", "5..9"], 5), (["--seeds", "7..7", "--scenario", FAMILIES[command]], 1):
                    got = run(command, *line)
                    self.assertEqual(got.returncode, 0, got.stdout)
                    self.assertTrue(got.stdout.startswith(f"{runs} runs, 0 findings; "), got.stdout)
                for line in ["--seed", "5"], ["--small-case", "0"]:
                    got = run(command, *line)
                    self.assertEqual(got.returncode, 0, got.stdout)
                    self.assertRegex(got.stdout, HASH)

    def test_parts_are_all_small_cases(self):
        for command in COMMANDS:
            cases = int(re.search(r"--small-case 0 … (\d+)", run(command).stderr).group(1)) + 1
            parts = [0, 1, cases - 1]
            runs = [run(command, "--small", f"{part}/{cases - 1}").stdout.split(" runs")[0] for part in parts[:2]]
            self.assertEqual(runs, ["2", "1"], "case 0 and the last one, and case 1")
            self.assertEqual(run(command, "--small", f"{cases}/{cases + 1}").stdout.split(" runs")[0], "0")

    def test_the_last_seed_of_all_ends(self):
        for command in COMMANDS:
            last = 2**64 - 1
            got = run(command, "--seeds", f"{last - 1}..{last}")
            self.assertTrue(got.stdout.startswith("2 runs, "), got.stdout)
            self.assertTrue(run(command, "--replay", f"{last}..{last}").stdout.startswith("1 histories, "))

    def test_a_finding_is_seen_again(self):
        """With a thing broken there are findings; the line printed with each shows it again, event by event, twice."""
        for command in COMMANDS:
            for line in ["--seeds", "0..99"], ["--seeds", "0..99", "--scenario", FAMILIES[command]], ["--small", "3/40"]:
                with self.subTest(command=command, line=line):
                    got = run(command, *line, "--break", "1")
                    self.assertEqual(got.returncode, 1, got.stdout)
                    found = FOUND.findall(got.stdout)
                    replays = re.findall(rf"replay: {command} (.*)$", got.stdout, re.M)
                    self.assertEqual(len(found), len(replays))
                    self.assertIn(f" runs, {len(found)} findings; ", got.stdout)
                    self.assertLessEqual(len(found), 10)
                    again = [run(command, *replays[-1].split()) for _ in range(2)]
                    self.assertEqual(again[0].returncode, 1)
                    self.assertEqual(FOUND.findall(again[0].stdout), [found[-1]])
                    self.assertEqual(again[0].stdout, again[1].stdout)
                    plain = run(command, *replays[-1].removesuffix(" --trace").split())
                    self.assertEqual(plain.returncode, 1)
                    self.assertEqual(HASH.findall(plain.stdout), HASH.findall(again[0].stdout))
                    self.assertLess(len(plain.stdout), len(again[0].stdout), "nothing was traced")
                    whole = run(command, *re.sub(" --break 1.*", "", replays[-1]).split())
                    self.assertEqual((whole.returncode, FOUND.findall(whole.stdout)), (0, []))

    def test_histories_repeat_when_broken_too(self):
        for command in COMMANDS:
            got = run(command, "--replay", "0..9", "--break", "1")
            self.assertEqual((got.returncode, got.stdout), (0, "10 histories, each the same twice\n"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

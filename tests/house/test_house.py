#!/usr/bin/python3
"""That the checks of the house can fail: each is shown a small bad tree and must say what is wrong with it."""

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

import include_graph
import pure_symbols
import ratchet
import rooms
import tidy
import tree

DOCUMENT = "\n".join(
    ["| room | may include |", "|---|---|"] +
    [f"| {room} | {', '.join(uses) or 'nothing of ours'} |" for room, uses in rooms.MAY_USE.items()]
) + "\n"

GOOD = {
    "docs/architecture.md": DOCUMENT,
    "include/vmac/mac.h": "/* Addresses: values. */\n#include <stdint.h>\n",
    "include/vmac/classify.h": "/* Addresses: classes. */\n#include <vmac/mac.h>\n",
    "include/vmac/client.h": "/* The client of the daemon. */\n#include <vmac/mac.h>\n",
    "bpf/shared.h": "/* What both sides know. */\n#include <linux/types.h>\n",
    "src/base/error.h": "/* Errors: one struct. */\n",
    "src/mac/mac.c": '#include <vmac/mac.h>\n\n#include "base/error.h"\n',
    "src/model/model.h": '/* The domain on one page. */\n#include <vmac/mac.h>\n#include "base/error.h"\n',
    "src/model/meson.build": "model_lib = static_library('model', dependencies: [base_dep, mac_dep])\n",
    "src/host/host.h": '/* Links of the host. */\n#include "model/model.h"\n',
    "src/host/private.h": '/* What the files of host share. */\n#include "host/host.h"\n',
    "src/plane/plane.c": '#include "bpf/shared.h"\n#include "vmac.skel.h"\n',
    "src/engine/engine.h": '/* The heart of it. */\n#include "host/host.h"\n',
    "src/api/api.c": '#include "engine/engine.h"\n',
    "src/api/meson.build": "api_lib = static_library('api', dependencies: [base_dep, model_dep])\n",
    "src/lib/client.c": '#include <vmac/client.h>\n#include <vmac/mac.h>\n#include "base/error.h"\n',
    "src/lib/meson.build": "x = both_libraries('vmac', objects: [mac_lib.extract_all_objects()])\n",
    "src/cli/main.c": '#include <vmac/client.h>\n#include "model/model.h"\n',
    "src/daemon/main.c": '#include "api/api.h"\n#include "engine/engine.h"\n',
    "src/api/api.h": "/* Routes and views. */\n",
}


class Tree(unittest.TestCase):
    """A tree in a temporary folder: GOOD, and what a test adds or changes."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="vmac-house-")
        self.addCleanup(self.folder.cleanup)
        self.root = self.folder.name
        for path, text in GOOD.items():
            self.write(path, text)

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def expect(self, findings, *parts):
        """One finding, with these parts."""
        self.assertEqual(len(findings), 1, findings)
        for part in parts:
            self.assertIn(part, findings[0])


class IncludeGraph(Tree):
    def check(self):
        return include_graph.check(self.root)

    def test_a_good_tree_has_no_findings(self):
        self.assertEqual(self.check(), [])

    def test_every_room_may_include_only_what_the_table_says(self):
        for room in rooms.MAY_USE:
            self.write(f"src/{room}/x.h", "/* A header of its own. */\n")
        for room, uses in rooms.MAY_USE.items():
            for other in rooms.MAY_USE:
                if other == room:
                    continue
                header = rooms.CONTRACT.get(other, (f"{other}/x.h",))[0]
                self.write(f"src/{header}", "/* A header of its own. */\n")
                self.write(f"src/{room}/probe.c", f'#include "{header}"\n')
                if other in uses:
                    self.assertEqual(self.check(), [], (room, other))
                else:
                    self.expect(self.check(), f"src/{room}/probe.c:1",
                                f"room {room} may not include room {other}")
            os.remove(os.path.join(self.root, f"src/{room}/probe.c"))

    def test_wire_and_model_never_meet(self):
        self.write("src/wire/eth.h", '/* Frames of it. */\n#include "model/model.h"\n')
        self.expect(self.check(), "src/wire/eth.h:2", "wire may not include room model")

    def test_a_commented_include_is_none(self):
        self.write("src/base/a.c", '/*\n#include "engine/engine.h"\n*/\n// #include "api/api.h"\n')
        self.assertEqual(self.check(), [])

    def test_an_indented_include_is_one(self):
        self.write("src/base/a.c", '#ifdef X\n#  include "model/model.h"\n#endif\n')
        self.expect(self.check(), "src/base/a.c:2")

    def test_only_the_contract_of_an_edge_is_for_others(self):
        self.write("src/engine/a.c", '#include "host/private.h"\n')
        self.expect(self.check(), "of room host only host/host.h, ")

    def test_only_plane_sees_the_kernel_side(self):
        self.write("src/engine/a.c", '#include "bpf/shared.h"\n')
        self.expect(self.check(), "only by room plane")
        self.write("src/engine/a.c", "")
        self.write("bpf/maps.h", "/* Maps of it. */\n")
        self.write("src/plane/a.c", '#include "bpf/maps.h"\n')
        self.expect(self.check(), "only bpf/shared.h of bpf/")

    def test_generated_headers_belong_to_their_room(self):
        self.write("src/host/a.c", '#include "vmac.skel.h"\n')
        self.expect(self.check(), "vmac.skel.h belongs to room plane")

    def test_paths_name_their_room(self):
        self.write("src/host/a.c", '#include "private.h"\n')
        self.expect(self.check(), 'is not of the form "room/header.h"')
        self.write("src/host/a.c", '#include "host/gone.h"\n')
        self.expect(self.check(), "there is no src/host/gone.h")
        self.write("src/host/a.c", '#include "vmac/mac.h"\n')
        self.expect(self.check(), "write <vmac/mac.h>")

    def test_installed_headers_have_owners(self):
        self.write("src/base/a.c", "#include <vmac/mac.h>\n")
        self.expect(self.check(), "room base may not include <vmac/mac.h>")
        self.write("src/base/a.c", "")
        self.write("src/engine/a.c", "#include <vmac/client.h>\n")
        self.expect(self.check(), "room engine may not include <vmac/client.h>")
        self.write("src/engine/a.c", "")
        self.write("include/vmac/new.h", "/* Something of the new kind. */\n")
        self.expect(self.check(), "vmac/new.h", "does not say which room")

    def test_installed_headers_stand_alone(self):
        self.write("include/vmac/mac.h", '/* Addresses: values. */\n#include "base/error.h"\n')
        self.expect(self.check(), "include/vmac/mac.h:2", "an installed header includes only")

    def test_an_unknown_room(self):
        self.write("src/attic/a.c", "")
        self.expect(self.check(), "src/attic is no room")

    def test_cycles_within_a_room(self):
        self.write("src/base/a.h", '/* The first of three. */\n#include "base/b.h"\n')
        self.write("src/base/b.h", '/* The second of three. */\n#include "base/c.h"\n')
        self.write("src/base/c.h", '/* The third of three. */\n#include "base/a.h"\n')
        self.expect(self.check(), "src/base/a.h -> src/base/b.h -> src/base/c.h -> src/base/a.h")

    def test_cycles_in_bpf(self):
        self.write("bpf/shared.h", '/* What both know. */\n#include "maps.h"\n')
        self.write("bpf/maps.h", '/* Maps of it. */\n#include "shared.h"\n')
        self.expect(self.check(), "include each other")

    def test_link_lines(self):
        self.write("src/model/meson.build", "# engine_dep is a word here\n\nx = [base_dep, wire_dep]\n")
        self.expect(self.check(), "src/model/meson.build:3", "model may not link room wire")
        self.write("src/model/meson.build", "x = [base_dep]\n")
        self.write("src/lib/meson.build", "x = [model_lib.extract_all_objects()]\n")
        self.expect(self.check(), "lib may not link room model")

    def test_api_sees_the_engine_but_does_not_link_it(self):
        self.write("src/api/meson.build", "x = [engine_dep]\n")
        self.expect(self.check(), "api may not link room engine")

    def test_the_document_says_the_same(self):
        self.write("docs/architecture.md", DOCUMENT.replace("| pool | base, mac, model |",
                                                            "| pool | base, mac, wire, model |"))
        self.expect(self.check(), "pool may not include wire, but its row says so")
        self.write("docs/architecture.md", DOCUMENT.replace("| pool | base, mac, model |",
                                                            "| pool | base, mac |"))
        self.expect(self.check(), "pool may include model, but its row does not say so")
        self.write("docs/architecture.md", DOCUMENT.replace("| cli |", "| gui |"))
        self.expect(self.check(), "room cli has no row")
        os.remove(os.path.join(self.root, "docs/architecture.md"))
        self.expect(self.check(), "is missing")


class PureSymbols(Tree):
    def archive(self, room, source):
        """Compiles one file and returns ROOM's archive of it."""
        self.write(f"{room}.c", source)
        obj, lib = (os.path.join(self.root, f"{room}.{end}") for end in ("o", "a"))
        cc = os.environ.get("CC", "cc").split()
        subprocess.run(cc + ["-O1", "-fno-builtin", "-c", os.path.join(self.root, f"{room}.c"), "-o",
                             obj], check=True)
        if os.path.exists(lib):
            os.remove(lib)
        subprocess.run(["ar", "rcs", lib, obj], check=True)
        return lib

    def test_what_the_list_allows(self):
        base = self.archive("base", "#include <string.h>\n#include <stdio.h>\n"
                                    "int base_f(char *p) { return snprintf(p, 4, \"%zu\", strlen(p)); }\n")
        mac = self.archive("mac", "int base_f(char *p);\nint mac_f(char *p) { return base_f(p); }\n")
        self.assertEqual(pure_symbols.check({"base": base, "mac": mac}), [])

    def test_what_it_does_not(self):
        for call, header in (("malloc(4)", "stdlib.h"), ("time(0)", "time.h"),
                             ("getenv(\"X\")", "stdlib.h"), ("getpid()", "unistd.h"),
                             ("puts(\"x\")", "stdio.h")):
            base = self.archive("base", f"#include <{header}>\nlong base_f(void) {{ return (long){call}; }}\n")
            self.expect(pure_symbols.check({"base": base}),
                        f"room base wants {call.split('(')[0]}, which is not on the list")

    def test_a_weak_wish_is_a_wish(self):
        base = self.archive("base", "extern int mystery(void) __attribute__((weak));\n"
                                    "int base_f(void) { return mystery ? mystery() : 0; }\n")
        self.expect(pure_symbols.check({"base": base}), "mystery")

    def test_a_room_that_it_may_not_use(self):
        wire = self.archive("wire", "int wire_f(void) { return 1; }\n")
        model = self.archive("model", "int wire_f(void);\nint model_f(void) { return wire_f(); }\n")
        self.expect(pure_symbols.check({"wire": wire, "model": model}),
                    "room model wants wire_f of room wire")

    def test_a_static_function_is_nobody_elses(self):
        base = self.archive("base", "__attribute__((used, noinline)) static int f(void) { return 1; }\n"
                                    "int base_f(void) { return f(); }\n")
        mac = self.archive("mac", "int f(void);\nint mac_f(void) { return f(); }\n")
        self.expect(pure_symbols.check({"base": base, "mac": mac}), "room mac wants f, which is not")

    def test_an_empty_archive(self):
        self.expect(pure_symbols.check({"base": self.archive("base", "")}), "defines nothing")

    def test_other_forms_of_a_name(self):
        self.assertEqual(pure_symbols._plain("__snprintf_chk"), "snprintf")
        self.assertEqual(pure_symbols._plain("__isoc23_strtoul"), "strtoul")
        self.assertEqual(pure_symbols._plain("memcpy@GLIBC_2.14"), "memcpy")
        self.assertEqual(pure_symbols._plain("__system_chk"), "system")

    def test_each_allowed_symbol_has_its_reason(self):
        self.assertEqual([s for s, why in pure_symbols.ALLOWED.items() if not why.strip()], [])


class Tidy(Tree):
    def check(self):
        return tidy.check(self.root)

    def test_a_good_tree_has_no_findings(self):
        self.assertEqual(self.check(), [])

    def test_columns(self):
        self.write("src/base/a.c", "\t" * 12 + "abcd\n")  # 100
        self.assertEqual(self.check(), [])
        self.write("src/base/a.c", "\n" + "\t" * 12 + "abcde\n")
        self.expect(self.check(), "src/base/a.c:2", "101 columns")
        self.write("src/base/a.c", "/* " + "…" * 94 + " */\n")  # characters, not octets
        self.assertEqual(self.check(), [])

    def test_a_table_may_be_wide(self):
        wide = "x" * 120 + "\n"
        self.write("src/base/a.c", "/* clang-format off */\n" + wide + "/* clang-format on */\n")
        self.assertEqual(self.check(), [])
        self.write("src/base/a.c", "/* clang-format off */\n/* clang-format on */\n" + wide)
        self.expect(self.check(), "src/base/a.c:3")

    def test_blanks_at_the_end(self):
        self.write("tests/x.py", "a = 1 \n")
        self.expect(self.check(), "tests/x.py:1", "blanks")
        self.write("tests/x.py", "a = 1\n\t\n")
        self.expect(self.check(), "tests/x.py:2", "blanks")
        self.write("tests/x.py", "a = 1")
        self.expect(self.check(), "no newline")

    def test_marks(self):
        for mark in ("TO" + "DO", "FIX" + "ME", "X" + "XX"):
            self.write("README.md", f"A page.\n\n{mark}: more\n")
            self.expect(self.check(), "README.md:3", mark)
        self.write("README.md", "mktemp name." + "X" * 6 + "\n")
        self.assertEqual(self.check(), [])

    def test_places_of_one_machine(self):
        for place in ("/wo" + "rk/main", "/wo" + "rk", "/tmp" + "/w/x", "https://py" + "pi.org/simple",
                      "files.pythonhosted.o" + "rg", "deb.debian.o" + "rg", "registry.npmjs.o" + "rg",
                      "static.crates.i" + "o", "proxy.golang.o" + "rg"):
            self.write("check.sh", f"cd '{place}'\n")
            self.expect(self.check(), "check.sh:1", "a place of one machine")
        for place in ("./wo" + "rk/x", "~/wo" + "rk", "/tmp" + "/wide", "/wo" + "rkspace", "/home" + "/wo" + "rk",
                      "https://www.debian.org", "$x/wo" + "rk"):
            self.write("check.sh", f"cd {place}\n")
            self.assertEqual(self.check(), [], place)

    def test_long_files(self):
        self.write("src/base/a.c", "int x;\n" * 800)
        self.assertEqual(self.check(), [])
        self.write("src/base/a.c", "int x;\n" * 801)
        self.expect(self.check(), "801 lines; at most 800")

    @staticmethod
    def function(name, lines):
        return f"static int {name}(int a,\n\t\tint b)\n{{\n" + "\ta++;\n" * (lines - 2) + "}\n"

    def test_long_functions(self):
        self.write("src/base/a.c", self.function("fits", 100) + "\n" + self.function("fits_too", 100))
        self.assertEqual(self.check(), [])
        self.write("src/base/a.c", self.function("fits", 100) + "\n" + self.function("too_long", 101))
        self.expect(self.check(), "too_long() has 101 lines")

    def test_a_long_table_is_no_function(self):
        self.write("src/base/a.c", "static const int table[] = {\n" + "\t1,\n" * 200 + "};\n")
        self.assertEqual(self.check(), [])

    def test_banned_calls(self):
        for call, instead in tidy.BANNED.items():
            self.write("src/base/a.c", f"void f(void)\n{{\n\t{call} (x);\n}}\n")
            self.expect(self.check(), "src/base/a.c:3", f"{call}() is banned: use {instead}")

    def test_what_only_looks_like_a_banned_call(self):
        self.write("src/base/a.c", textwrap.dedent("""\
            /* strcpy(a, b) */
            void f(void)
            {
            \tlog("system(x)"); // gets(x)
            \tmy_strcpy(a);
            \tops->system(a);
            \tops.random(a);
            \tint system = 1;
            }
            """))
        self.assertEqual(self.check(), [])

    def test_head_comments(self):
        for text in ("#pragma once\n", "/* */\n", "/* word */\n", "int x;\n/* Too late, I say. */\n"):
            self.write("src/base/a.h", text)
            self.expect(self.check(), "src/base/a.h:1", "a header begins with a comment")
        self.write("src/base/a.h", "/* What it is: in a sentence,\n * or two.  */\n#pragma once\n")
        self.assertEqual(self.check(), [])

    def test_samples_and_builds_are_not_read(self):
        self.write("tests/fuzz/corpus/x/1", "a \n")
        self.write("build-x/a.c", "a \n")
        self.write("out/build.ninja", "a \n")
        self.write("out/deep/a.c", "a \n")
        self.write(".git/config", "a \n")
        self.write("other/.git", "a \n")
        self.assertEqual(self.check(), [])
        self.write("tests/deep/a.c", "a \n")
        self.expect(self.check(), "tests/deep/a.c")

    def test_the_ratchet_forgives_what_it_knows_and_no_more(self):
        for table, value in (("LONG_LINES", {"src/base/a.c": 2}),
                             ("BANNED_CALLS", {"src/base/a.c:gets": (1, "a reason")}),
                             ("LONG_FUNCTIONS", {"src/base/a.c:f": 150}),
                             ("LONG_FILES", {"src/base/b.c": 900})):
            old = getattr(ratchet, table)
            self.addCleanup(setattr, ratchet, table, old)
            setattr(ratchet, table, value)
        self.write("src/base/a.c", ("x" * 101 + "\n") * 2 + "void g(void)\n{\n\tgets(x);\n}\n\n" +
                   self.function("f", 150))
        self.write("src/base/b.c", "\n" * 900)
        self.assertEqual(self.check(), [])
        self.write("src/base/a.c", ("x" * 101 + "\n") * 3)
        self.assertEqual(len(self.check()), 3)
        self.write("src/base/a.c", "void g(void)\n{\n\tgets(x);\n\tgets(y);\n}\n")
        self.assertEqual(len(self.check()), 2)
        self.write("src/base/a.c", self.function("f", 151))
        self.expect(self.check(), "f() has 151 lines")
        self.write("src/base/a.c", "")
        self.write("src/base/b.c", "\n" * 901)
        self.expect(self.check(), "901 lines")

    def test_each_exception_has_its_reason(self):
        self.assertEqual([k for k, (_, why) in ratchet.BANNED_CALLS.items() if len(why.split()) < 3], [])


class Commands(Tree):
    """The exit status is what the test suite sees."""

    def run_check(self, script, *args):
        here = os.path.dirname(os.path.abspath(__file__))
        return subprocess.run([sys.executable, os.path.join(here, script), *args],
                              capture_output=True, text=True, check=False)

    def test_exit_status(self):
        for script in ("include_graph.py", "tidy.py"):
            done = self.run_check(script, self.root)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertIn("all is well", done.stdout)
        self.write("src/base/a.h", '#include "engine/engine.h" \n')
        for script in ("include_graph.py", "tidy.py"):
            done = self.run_check(script, self.root)
            self.assertEqual(done.returncode, 1)
            self.assertIn("src/base/a.h:1: ", done.stdout)
            self.assertNotEqual(self.run_check(script).returncode, 0)

    def test_exit_status_of_pure_symbols(self):
        archive = PureSymbols.archive(self, "base", "void *malloc(unsigned long);\n"
                                                    "void *base_f(void) { return malloc(1); }\n")
        done = self.run_check("pure_symbols.py", f"base={archive}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("wants malloc", done.stdout)
        self.assertNotEqual(self.run_check("pure_symbols.py").returncode, 0)
        self.assertNotEqual(self.run_check("pure_symbols.py", f"engine={archive}").returncode, 0)


class TreeItself(Tree):
    def test_code_keeps_lines(self):
        text = 'a /* b\n c */ d "e /* f" // g\nh\n'
        self.assertEqual(tree.code(text), 'a \n d ""  \nh\n')
        self.assertEqual(tree.code(text, keep_strings=True), 'a \n d "e /* f"  \nh\n')


if __name__ == "__main__":
    unittest.main()

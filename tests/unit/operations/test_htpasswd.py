# Copyright (c) 2026, the longshore.oci authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an htpasswd file says, and what of it changes: judged as distribution judges, changed no further than needed."""

from __future__ import annotations

import builtins

import bcrypt
import pytest

from ansible_collections.longshore.oci.plugins.module_utils.model.errors import InvalidInput, MissingRequirement
from ansible_collections.longshore.oci.plugins.module_utils.operations import bcrypt_hash, htpasswd
from ansible_collections.longshore.oci.plugins.module_utils.operations.htpasswd import Htpasswd, User

PASSWORD = "wonder:land/ü"
#: Of PASSWORD at cost 4, and of another one at cost 5.
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
OTHER = bcrypt.hashpw(b"another", bcrypt.gensalt(5)).decode()


def file(text):
    return Htpasswd(text if isinstance(text, bytes) else text.encode(), "/srv/htpasswd")


def planned(text, *users, purge=False, rounds=4):
    return [(one.name, one.what, one.why) for one in htpasswd.plan(file(text), users, purge, rounds)]


def done(text, *users, purge=False, rounds=4):
    content = file(text)
    changes = htpasswd.plan(content, users, purge, rounds)
    return htpasswd.carried_out(content, changes, rounds)


def test_what_the_registry_reads():
    content = file(f"# users\n\n  alice:{HASH}  \r\n\tbob:{OTHER}\nalice:x:y\n#no:comment\n:nobody\n")
    assert content.users == ["bob", "alice", ""]
    assert content.hash_of("alice") == "x:y", "the last line counts"
    assert content.hash_of("bob") == OTHER
    assert content.hash_of("carol") is None
    assert content.is_doubled("alice")
    assert not content.is_doubled("bob")


@pytest.mark.parametrize(
    ("text", "words"),
    [("a:b\n\nsecret-hash\n", "line 3 .*has no ':'"), ("a:" + "b" * 70000, "line 1 .*is too long")],
)
def test_a_line_that_locks_everybody_out_is_named_and_not_shown(text, words):
    with pytest.raises(InvalidInput, match=words) as caught:
        file(text)
    assert "secret-hash" not in caught.value.message
    assert "/srv/htpasswd" in caught.value.message


@pytest.mark.parametrize("letter", "abxy")
def test_every_kind_that_the_registry_takes_is_compared(letter):
    assert planned(f"alice:$2{letter}{HASH[3:]}\n", User("alice", password=PASSWORD)) == []
    assert planned(f"alice:$2{letter}{HASH[3:]}\n", User("alice", password="wrong")) == [("alice", "changed", "password")]


@pytest.mark.parametrize("entry", ["", "plain", "$apr1$hash", "{SHA}abc", "$2y$04$short", f"{HASH}x", "$2z" + HASH[3:]])
def test_what_is_no_bcrypt_lets_nobody_in_and_is_replaced(entry):
    assert planned(f"alice:{entry}\n", User("alice", password=PASSWORD)) == [("alice", "changed", "password")]


def test_another_cost_is_hashed_anew_without_being_compared():
    costly = "$2y$31$" + "a" * 53
    assert planned(f"alice:{costly}\n", User("alice", password=PASSWORD)) == [("alice", "changed", "rounds")]
    assert planned(f"alice:{HASH}\n", User("alice", password=PASSWORD), rounds=5) == [("alice", "changed", "rounds")]


def test_a_hash_is_taken_as_it_is():
    assert planned(f"alice:{HASH}\n", User("alice", hash=HASH), rounds=10) == []
    assert done(f"alice:{HASH}\n", User("alice", hash=OTHER)) == f"alice:{OTHER}\n".encode()


def test_what_is_written_is_what_the_registry_takes():
    line = done("", User("alice", password=PASSWORD)).decode()
    name, colon, entry = line.rstrip("\n").partition(":")
    assert (name, entry[:7]) == ("alice", "$2y$04$")
    assert bcrypt_hash.matches(PASSWORD, entry)
    assert not bcrypt_hash.matches(PASSWORD + " ", entry)


def test_all_else_stays_where_it_is():
    before = f"# users\r\n\nalice:{HASH}\nbob:{OTHER}\r\n\xfc:{OTHER}\n\n# end".encode("latin-1")
    after = done(before, User("bob", hash=HASH), User("carol", hash=HASH), User("alice", present=False))
    assert after == f"# users\r\n\nbob:{HASH}\n\xfc:{OTHER}\n\n# end\ncarol:{HASH}\n".encode("latin-1")
    assert file(before).users[2] == "\udcfc"


def test_several_lines_for_one_user_become_one():
    text = f"alice:{OTHER}\nbob:{OTHER}\nalice:{HASH}\n"
    assert planned(text, User("alice", password=PASSWORD)) == [("alice", "changed", "duplicates")]
    assert done(text, User("alice", password=PASSWORD)) == f"bob:{OTHER}\nalice:{HASH}\n".encode()
    assert done(text, User("alice", present=False)) == f"bob:{OTHER}\n".encode()
    assert planned(text, User("bob", hash=OTHER)) == [], "others are not ours to tidy up"


def test_purge():
    text = f"alice:{HASH}\nbob:{OTHER}\nbob:{HASH}\ncarol:{HASH}\n"
    users = [User("alice", password=PASSWORD), User("carol", present=False), User("dave", present=False)]
    assert planned(text, *users) == [("carol", "removed", "absent")]
    assert planned(text, *users, purge=True) == [("carol", "removed", "absent"), ("bob", "removed", "unlisted")]
    assert done(text, *users, purge=True) == f"alice:{HASH}\n".encode()


def test_names_after_and_the_difference_show_no_hash():
    content = file(f"alice:{HASH}\nbob:{OTHER}\neve:{HASH}\n")
    users = [User("bob", hash=HASH), User("carol", hash=HASH), User("alice", password=PASSWORD), User("eve", present=False)]
    changes = htpasswd.plan(content, users, False, 4)
    assert htpasswd.after(content, changes) == ["alice", "bob", "carol"]
    assert htpasswd.difference(content, changes) == (
        {"bob": "present", "carol": "absent", "eve": "present"},
        {"bob": "present, password changed", "carol": "present", "eve": "absent"},
    )
    assert HASH not in repr(changes)
    assert PASSWORD not in repr(users)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (User(""), "empty name"),
        (User("a:b", password="x"), "must not hold ':'"),
        (User("a\nb", password="x"), "line breaks"),
        (User("a\x85", password="x"), "control characters"),
        (User("#a", password="x"), "begin with '#'"),
        (User(" a", password="x"), "blank"),
        (User("a\u2003", password="x"), "blank"),
        (User("a" * 256, password="x"), "more than 255 bytes"),
        (User("a", password=""), "password is empty"),
        (User("a"), "give the password"),
        (User("a", password="x" * 73), "73 bytes, of which bcrypt takes only 72"),
        (User("a", password="ü" * 37), "74 bytes"),
        (User("a", password="x\n"), "line break"),
        (User("a", password="x\0y"), "control character"),
        (User("a", password="\udc80"), "not valid Unicode"),
        (User("a", hash="$apr1$x"), "not one of bcrypt"),
        (User("a", hash=HASH + "\nmallory:" + HASH), "not one of bcrypt"),
        (User("a", hash=HASH, password="x"), "password or hash, not both"),
    ],
)
def test_what_is_refused(user, words):
    with pytest.raises(InvalidInput, match=words) as caught:
        htpasswd.check([user])
    assert HASH not in caught.value.message


def test_what_is_let_pass():
    htpasswd.check([User("a", password="x" * 72), User("ö b#", hash=HASH), User("gone", present=False)])
    with pytest.raises(InvalidInput, match="'a' is listed twice"):
        htpasswd.check([User("a", password="x"), User("a", present=False)])


def test_without_the_library_only_passwords_are_out_of_reach(monkeypatch):
    true_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "bcrypt":
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert done(f"alice:{HASH}\n", User("bob", hash=HASH), User("alice", present=False)) == f"bob:{HASH}\n".encode()
    for text in ("", f"alice:{HASH}\n"):
        with pytest.raises(MissingRequirement) as caught:
            done(text, User("alice", password=PASSWORD))
        assert caught.value.facts["library"] == "bcrypt"

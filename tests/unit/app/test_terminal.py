import json

from kerbstone.app.terminal import print_error, print_json, print_note, print_table, print_text
from kerbstone.errors import InputError

HOSTILE = "car \x1b]0;title\x07\x9b31m<b>\r"


def test_control_characters_of_names_reach_no_terminal(capsys):
    print_text(HOSTILE)
    print_note(HOSTILE)
    print_error(InputError("usage", HOSTILE, where=HOSTILE))
    print_table([{"name": HOSTILE}], {"name": "name"})
    for text in capsys.readouterr():
        assert text.count("title") == 2 + (text.count("error") > 0)
        assert not set(text) & {
            chr(code) for code in [*range(10), *range(11, 32), *range(127, 160)]
        }
        assert "\\x1b]0;title\\x07\\x9b31m<b>\\x0d" in text


def test_json_gives_names_back_as_they_were(capsys):
    print_json({"name": HOSTILE, "tab": "\t"})
    text = capsys.readouterr().out
    assert "\x9b" not in text
    assert "\x1b" not in text
    assert json.loads(text) == {"name": HOSTILE, "tab": "\t"}

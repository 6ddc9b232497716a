"""Worker processes of a search that die in one scene; they import these functions by name."""

import os

from kerbstone.mine.search import answering, index

DEADLY = "brake/0"


def answer_or_die(work):
    die_with(work)
    return answering._answer(work)


def index_or_die(work):
    die_with(work)
    return index._index(work)


def die_with(work):
    if DEADLY in dict(work.scenes):
        os._exit(9)

"""Faults on demand, read at every call.

`state/inject/POINT` holds "delay SECONDS", "fail", "fail COUNT" or a delay and
a failure; the count goes down with each failure. No file, no fault.

Where there is one, `state/passages/POINT` gets a line with the number of the
process that has reached the point, and one when the point let it go on.
"""
import fcntl
import os
import time

STATE = os.environ['LAB_STATE']


def point(name):
    ordered = _take(os.path.join(STATE, 'inject', name))
    if ordered is None:
        return
    delay, fails = ordered
    _note(name, 'reached')
    time.sleep(delay)
    if fails:
        raise RuntimeError('lab: injected failure at %s' % name)
    _note(name, 'passed')


def _note(name, what):
    with open(os.path.join(STATE, 'passages', name), 'a') as f:
        f.write('%d %s\n' % (os.getpid(), what))


def _take(path):
    try:
        f = open(path, 'r+')
    except FileNotFoundError:
        return None
    with f:
        fcntl.flock(f, fcntl.LOCK_EX)
        words = f.read().split()
        delay = float(words[words.index('delay') + 1]) if 'delay' in words else 0
        if 'fail' not in words:
            return delay, False
        at = words.index('fail') + 1
        if at == len(words) or not words[at].isdigit():
            return delay, True
        left = int(words[at])
        words[at] = str(max(left - 1, 0))
        f.seek(0)
        f.truncate()
        f.write(' '.join(words) + '\n')
        return delay, left > 0

"""Runs a program on a pseudo-terminal and answers its questions.

terminal.py COLUMNS ANSWERS PROGRAM WORD…

ANSWERS is a JSON list of [question, answer]: each answer is typed when the text of its question has
appeared after the one before. What the terminal showed goes to standard output; the exit code is the
program's. A question that never comes ends the program after a minute, with code 99.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

LIMIT_SECONDS = 60


def main() -> int:
    columns, answers, words = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.execv(words[0], words)
    shown, searched = b"", 0
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # the other end is closed
                piece = b""
            if not piece:
                break
            shown += piece
        if answers and answers[0][0].encode() in shown[searched:]:
            answer = answers.pop(0)[1]
            searched = len(shown)
            os.write(terminal, answer.encode())
    else:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        sys.stdout.buffer.write(shown)
        return 99
    _, status = os.waitpid(pid, 0)
    sys.stdout.buffer.write(shown)
    return os.waitstatus_to_exitcode(status)


sys.exit(main())

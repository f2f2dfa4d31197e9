"""Runs commands in a guest (see guests.py) for whoever connects: a line of JSON in, the pid and the end out.

The connection that says "stay" is the guest's life: when that ends, or never comes, the machine is
switched off.
"""

import ctypes
import json
import os
import socketserver
import subprocess
import sys
import tempfile
import threading

POWER_OFF = 0x4321FEDC
PATIENCE = 120  # seconds


def switch_off():
    ctypes.CDLL(None).reboot(POWER_OFF)


class Asked(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self):
        asked = json.loads(self.rfile.readline())
        if asked == "stay":
            unwanted.cancel()
            self.rfile.read()
            switch_off()
        with tempfile.TemporaryFile(dir="/run") as output:
            try:
                process = subprocess.Popen(
                    asked["command"],
                    cwd=asked["cwd"],
                    env={**os.environ, **asked["env"]},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                self.say(pid=0)
                self.say(status=127, output=str(error))
                return
            self.say(pid=process.pid)
            status = process.wait()
            output.seek(0)
            self.say(status=status, output=output.read().decode(errors="replace"))

    def say(self, **what):
        self.wfile.write(json.dumps(what).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    """Answers any number at once."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100


unwanted = threading.Timer(PATIENCE, switch_off)
unwanted.start()
Server(("0.0.0.0", int(sys.argv[1])), Asked).serve_forever()

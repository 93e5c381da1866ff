"""The lab's processes: started in a group of their own, stopped by what was recorded."""
import os
import signal
import subprocess
import time


class Processes:
    def __init__(self, place):
        self.place = place
        self.started = set()

    def start(self, name, *command, env=None):
        """Starts what isn't running yet."""
        if self.running(name):
            return
        with open(os.path.join(self.place.logs, name + '.out'), 'ab') as out:
            p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 cwd=self.place.dir, env=dict(os.environ, **(env or {})),
                                 start_new_session=True)
        with open(self._file(name), 'w') as f:
            f.write('%d %s\n' % (p.pid, birth(p.pid)))
        self.started.add(name)

    def running(self, name):
        return self.pid(name) is not None

    def names(self):
        return sorted(f[:-4] for f in os.listdir(self.place.run) if f.endswith('.pid'))

    def stop(self, names, patience=30):
        """All together: TERM, and KILL for the group of what doesn't listen."""
        waiting = {n: self.pid(n) for n in names}
        for pid in waiting.values():
            signal_group(pid, signal.SIGTERM)
        end = time.monotonic() + patience
        while time.monotonic() < end and any(group_lives(p) for p in waiting.values()):
            time.sleep(0.1)
        for name, pid in waiting.items():
            signal_group(pid, signal.SIGKILL)
            if os.path.exists(self._file(name)):
                os.unlink(self._file(name))

    def kill(self, name):
        """Its whole group, at once."""
        signal_group(self.pid(name), signal.SIGKILL)
        self.stop([name])

    def pid(self, name):
        """The recorded process, if it is that one still and no later owner of its number."""
        try:
            with open(self._file(name)) as f:
                pid, born = f.read().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if birth(int(pid)) == born else None

    def _file(self, name):
        return os.path.join(self.place.run, name + '.pid')


def birth(pid):
    """Start time in clock ticks: field 22 of proc_pid_stat(5). None for a zombie."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            fields = f.read().rpartition(')')[2].split()
    except OSError:
        return None
    return None if fields[0] in 'ZX' else fields[19]


def group_lives(pid):
    if pid is None:
        return False
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def signal_group(pid, sig):
    try:
        if pid is not None:
            os.killpg(pid, sig)
    except ProcessLookupError:
        pass

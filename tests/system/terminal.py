# terminal.py - a shell in a job on a terminal of ours: sizes, Ctrl-C, the exit code
#
# terminal.py JOB [FLAG...]: ends with 9 when all is as it should be.
import fcntl, os, pty, signal, struct, sys, termios, time
def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
pid, fd = pty.fork()
if pid == 0:
    os.execvp("berth", ["berth", "exec", *sys.argv[1:]])
size(fd, 40, 100)
seen = b""
def expect(text):
    global seen
    while text not in seen:
        try:
            seen += os.read(fd, 4096)
        except OSError:
            sys.exit("it ended before it said %r: %r" % (text, seen))
    seen = seen[seen.index(text) + len(text):]
def send(text):
    os.write(fd, text)
send(b"stty -echo; PS1=; echo rea''dy $(tty)\n")
expect(b"ready /dev/pts/")
size(fd, 33, 77)
send(b"while [ \"$(stty size)\" != '33 77' ]; do sleep 0.05; done; echo resi''zed\n")
expect(b"resized")
send(b"echo sle''eping; sleep 100\n")
expect(b"sleeping")
time.sleep(0.2)
send(b"\x03")
send(b"echo $TERM interrup''ted\n")
expect(b"interrupted")
send(b"exit 9\n")
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status))

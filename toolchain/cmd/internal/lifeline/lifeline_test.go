package lifeline

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test's own binary plays the parts: an engine starts a plugin, which starts a program.
const part = "LIFELINE_TEST_PART"

const shortGrace = 200 * time.Millisecond

// Long enough for a machine with other work; the program outlives it by far.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	switch os.Getenv(part) {
	case "engine":
		playEngine()
	case "plugin":
		playPlugin()
	default:
		os.Exit(m.Run())
	}
}

func playEngine() {
	plugin := exec.Command(os.Args[0])
	plugin.Env = append(os.Environ(), part+"=plugin")
	plugin.Stdout = os.Stdout
	_ = plugin.Run()
}

func playPlugin() {
	if err := Follow("", shortGrace); err != nil {
		panic(err)
	}
	program := exec.Command("sleep", "3600")
	child, err := Start(program)
	if err != nil {
		panic(err)
	}
	fmt.Println(os.Getpid(), program.Process.Pid)
	_ = child.Wait()
}

// play starts an engine and returns the ids of all three processes.
func play(t *testing.T) (engine *os.Process, plugin, program int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), part+"=engine")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &plugin, &program); err != nil {
		t.Fatal(err)
	}
	return cmd.Process, plugin, program
}

// alive tells whether a process runs. One that ended and was not waited for does not.
func alive(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(status), ") ")
	return !strings.HasPrefix(state, "Z")
}

func waitUntilGone(t *testing.T, what string, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if !alive(pid) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("the %s is still alive", what)
}

func TestPluginAndProgramEndWithTheEngine(t *testing.T) {
	engine, plugin, program := play(t)
	if !alive(plugin) || !alive(program) {
		t.Fatal("plugin or program did not start")
	}
	if err := engine.Kill(); err != nil {
		t.Fatal(err)
	}
	waitUntilGone(t, "plugin", plugin)
	waitUntilGone(t, "program", program)
}

func TestProgramEndsWithThePlugin(t *testing.T) {
	_, plugin, program := play(t)
	if err := syscall.Kill(plugin, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitUntilGone(t, "program", program)
}

func TestPluginRefusesToStartWithoutItsEngine(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if !answers(address) {
		t.Errorf("%s does not answer while somebody listens", address)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if address = takenInSilence(t); answers(address) {
		t.Errorf("%s answers when nobody listens", address)
	}
}

// takenInSilence returns an address at which nobody listens, nor can: the test has it.
func takenInSilence(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

func TestEngineAddress(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"127.0.0.1:4711"}, "127.0.0.1:4711"},
		{[]string{"--logtostderr", "-v=9", "127.0.0.1:4711"}, "127.0.0.1:4711"},
		{[]string{"--tracing", "file:/tmp/trace", "[::1]:4711"}, "[::1]:4711"},
		{[]string{"--tracing", "file:/tmp/trace"}, ""},
		{[]string{"-version"}, ""},
		{nil, ""},
	} {
		if got := EngineAddress(test.args); got != test.want {
			t.Errorf("EngineAddress(%q) is %q, not %q", test.args, got, test.want)
		}
	}
}

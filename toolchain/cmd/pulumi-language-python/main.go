// pulumi-language-python is the language host that runs Pulumi programs, policy packs and
// plugins written in Python for the engine.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/logging"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"

	"loadbalancer/toolchain/cmd/internal/lifeline"
)

// executor is the SDK's script that connects a program to the engine; it lies beside this one.
const executor = "pulumi-language-python-exec"

// How long programs may take to end when the engine has gone.
const grace = time.Second

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-language-python:", err)
		os.Exit(1)
	}
}

// serve answers the engine until it stops this process, or is itself gone.
func serve(args []string) error {
	engine := lifeline.EngineAddress(args)
	if err := lifeline.Follow(engine, grace); err != nil {
		return err
	}

	// The flags that the engine gives to every plugin.
	flags := flag.NewFlagSet("pulumi-language-python", flag.ContinueOnError)
	tracing := flags.String("tracing", "", "where traces go")
	toStderr := flags.Bool("logtostderr", false, "log to standard error instead of to files")
	verbose := flags.Int("v", 0, "log this much, from 0 to 11")
	if err := flags.Parse(args); err != nil {
		return err
	}
	logging.InitLogging(*toStderr, *verbose, *verbose > 0)

	self, err := os.Executable()
	if err != nil {
		return err
	}
	host := newHost(filepath.Join(filepath.Dir(self), executor), engine, *tracing)
	server, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(server, host)
			return nil
		},
		Options: rpcutil.TracingServerInterceptorOptions(nil),
	})
	if err != nil {
		return fmt.Errorf("serving the engine: %w", err)
	}
	// The engine waits for this line.
	fmt.Println(server.Port)
	return <-server.Done
}

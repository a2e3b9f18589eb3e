package busd

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func clusterCommand(env proc.Env, data *string) *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Prepare a bus of several servers"}
	var c busserver.Cluster
	initialize := &cobra.Command{
		Use:   "init",
		Short: "Write the configuration of three nats-server, and credentials",
		Long: `init writes a nats-server configuration for each server and credentials for each
role. Plain nats-server processes that are started with them form a cluster with
the same roles as the bus that jet-bus embeds; jet-bus --nats then uses it.

The keys are those of the data directory, made there if it has none; keep it: jet-bus
user add makes further credentials with them. Existing configurations are not
overwritten. Everything that is written is secret.`,
		Example: `  jet-bus cluster init --data keys --out cluster --servers n1.example.com,n2.example.com,n3.example.com \
    --tls-cert /etc/nats/cert.pem --tls-key /etc/nats/key.pem --tls-ca /etc/nats/ca.pem
  nats-server -c n1.example.com.conf     # on each server, with its own file
  jet-bus --nats tls://n1.example.com,tls://n2.example.com --creds bus.creds --content content`,
		Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			c.Data = cmp.Or(*data, access.DataDir(env))
			files, err := busserver.WriteCluster(c)
			if err != nil {
				return err
			}
			// With this, jet --bus finds the cluster as it finds a jet-bus.
			if err := (access.Address{Bus: files.URL}).Write(c.Out); err != nil {
				return err
			}
			for _, name := range files.Configs {
				_, _ = fmt.Fprintf(env.Stdout, "nats-server -c %s\n", name)
			}
			_, _ = fmt.Fprintf(env.Stdout, "jet-bus --nats %s --creds %s --content DIR\n", files.URL, files.Creds[0])
			_, _ = fmt.Fprintf(env.Stdout, "jet-runner --server %s --creds %s\n", files.URL, filepath.Join(c.Out, "creds", "runner.creds"))
			_, _ = fmt.Fprintf(env.Stdout, "jet --bus %s jobs\n", c.Out)
			return nil
		},
	}
	fs := initialize.Flags()
	fs.StringVar(&c.Out, "out", "", "`directory` to write to (required)")
	fs.StringSliceVar(&c.Servers, "servers", nil, "three or five `servers`, each [name=]host[:port]; port 4222 unless said, and 2000 above it for the other servers (required)")
	fs.StringVar(&c.Store, "store", "/var/lib/nats", "`directory` on the servers, below which each has its store")
	fs.StringVar(&c.TLSCert, "tls-cert", "", "PEM certificate `file` on the servers")
	fs.StringVar(&c.TLSKey, "tls-key", "", "PEM key `file` on the servers")
	fs.StringVar(&c.TLSCA, "tls-ca", "", "PEM `file` on the servers with the certificate of the authority that signed theirs")
	fs.BoolVar(&c.Insecure, "insecure", false, "addresses beyond this machine without TLS")
	for _, name := range []string{"out", "servers"} {
		if err := initialize.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is right above
		}
	}
	cmd.AddCommand(initialize)
	return cmd
}

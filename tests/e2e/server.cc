#include "e2e/server.h"

#include <signal.h>

#include "rpc.grpc.pb.h"

namespace quorate::test {

const ServerKind& quorate() {
  static const ServerKind kind{"quorate", env_or("QUORATE_BIN", QUORATE_BINARY_DIR "/bin/quorate"), true};
  return kind;
}

const ServerKind& etcd_34() {
  static const ServerKind kind = [] {
    ServerKind k{"etcd-3.4", find_program(env_or("QUORATE_ETCD", "etcd")), false};
    // Another version would make every difference a surprise.
    if (!k.binary.empty() &&
        run({{k.binary, "--version"}, {}, {}}).out.find("etcd Version: 3.4.") == std::string::npos)
      k.binary.clear();
    return k;
  }();
  return kind;
}

const ServerKind& etcd_371() {
  static const ServerKind kind{"etcd-3.7.1", env_or("QUORATE_ETCD_NEW", ""), false};
  return kind;
}

Server::Server(const ServerKind& kind, ServerSetup setup) : kind_(kind), setup_(std::move(setup)) {
  port_ = free_port();
  do peer_port_ = free_port();
  while (peer_port_ == port_);
}

Server::~Server() = default;

std::vector<std::string> Server::command_line() const {
  std::vector<std::string> argv = {kind_.binary,
                                   "--data-dir",
                                   data_dir(),
                                   "--listen-client-urls",
                                   client_url(),
                                   "--advertise-client-urls",
                                   client_url(),
                                   "--listen-peer-urls",
                                   peer_url(),
                                   "--initial-advertise-peer-urls",
                                   peer_url(),
                                   "--initial-cluster",
                                   "default=" + peer_url()};
  if (kind_.ours && (!setup_.engine.empty() || !setup_.transports.empty())) {
    const std::string plugins = dir_ / "plugins.toml";
    std::string lines = setup_.engine.empty() ? "" : "[storage]\nplugin = \"" + setup_.engine + "\"\n";
    for (const std::string& name : setup_.transports) lines += "[[transport]]\nplugin = \"" + name + "\"\n";
    write_text(plugins, lines);
    argv.insert(argv.end(), {"--plugins", plugins});
  }
  argv.insert(argv.end(), setup_.flags.begin(), setup_.flags.end());
  return argv;
}

void Server::launch() {
  process_.reset();
  process_ =
      std::make_unique<Process>(Command{command_line(), {}, {}}, dir_ / ("log" + std::to_string(++starts_)));
}

bool Server::wait_ready(Millis limit) {
  bool ready = false;
  wait_until(limit, [&] {
    ready = log().find("ready to serve client requests") != std::string::npos;
    return ready || !process_->running();
  });
  return ready;
}

bool Server::start() {
  launch();
  return wait_ready();
}

void Server::kill9() { process_->kill(); }

int Server::stop() {
  process_->signal(SIGTERM);
  return process_->wait(Millis(30000)).value_or(-1);
}

std::string Server::log() const { return process_ ? process_->err() + process_->out() : std::string(); }

std::shared_ptr<grpc::Channel> Server::connect(grpc::ChannelArguments arguments) const {
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt("grpc.initial_reconnect_backoff_ms", 50);
  arguments.SetInt("grpc.min_reconnect_backoff_ms", 50);
  arguments.SetInt("grpc.max_reconnect_backoff_ms", 200);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel("ipv4:" + endpoint(), grpc::InsecureChannelCredentials(), arguments);
}

Identity identity_of(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  context.set_wait_for_ready(true);
  etcdserverpb::StatusResponse response;
  (void)etcdserverpb::Maintenance::NewStub(channel)->Status(&context, {}, &response);
  return {response.header().cluster_id(), response.header().member_id()};
}

}  // namespace quorate::test

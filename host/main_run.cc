#include "host/main_run.h"

#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "host/config_services.h"
#include "host/loop.h"
#include "host/main_output.h"
#include "host/main_signals.h"
#include "host/memory.h"
#include "host/net.h"
#include "host/notify.h"
#include "quorate/node.h"
#include "runtime/posix_files.h"
#include "runtime/system.h"

namespace quorate::host {

using plugin::ListenerRole;
using plugin::LogLevel;
using plugin::Ref;
using plugin::Status;

namespace {

constexpr char kCaller[] = "host/main";

std::string error_fields(const Status& status) { return json_fields({{"error", status.text()}}); }

// The machine, as core and plugins see it. Lives as long as the process, as plugins do.
struct Machine {
  SystemClock clock;
  SystemRandom random;
  PosixFiles files{&clock};
};

Machine& machine() {
  static auto* made = new Machine;
  return *made;
}

// For whoever may outlive run_node: a thread of a plugin, say.
template <typename T>
T* lasting(Ref<T> object) {
  static auto* kept = new std::vector<Ref<T>>;
  kept->push_back(object);
  return object.get();
}

// The plugins of one node. They are created by their configuration's order, and every error names its place
// in it.
class Plugins {
 public:
  explicit Plugins(LogSink* log) : log_(log), loader_(services("host/plugins")) {}

  // Everything but create().
  Status load(const PluginsConfig& config) {
    if (Status s = load_one(config.storage, &storage_); !s.ok()) return s;
    for (const PluginChoice& choice : config.transports) {
      transports_.emplace_back();
      if (Status s = load_one(choice, &transports_.back()); !s.ok()) return s;
    }
    return {};
  }

  Status create(const PluginsConfig& config, Ref<plugin::Engine>* engine,
                std::vector<Ref<plugin::Transport>>* transports) {
    if (Status s = create_one(config.storage, *storage_, engine); !s.ok()) return s;
    for (size_t i = 0; i < transports_.size(); ++i) {
      transports->emplace_back();
      if (Status s = create_one(config.transports[i], *transports_[i], &transports->back()); !s.ok())
        return s;
    }
    return {};
  }

  uint64_t engine_capabilities() const { return storage_->info.capabilities; }

 private:
  // What a plugin is given; its lines in the log bear its name.
  Services* services(const std::string& name) const {
    Machine& m = machine();
    return lasting(plugin::make<Services>(&m.files, &m.clock, &m.random, log_->named(name)));
  }

  static Status named(const std::string& where, const Status& status) {
    return status.ok() ? status : Status(status.code(), where + ": " + status.text());
  }

  Status load_one(const PluginChoice& choice, const LoadedPlugin** out) {
    size_t wrong = choice.option_where.size();
    if (Status s = loader_.load(choice.request, out, &wrong); !s.ok())
      return named(wrong < choice.option_where.size() ? choice.option_where[wrong] : choice.where, s);
    const LoadedPlugin& loaded = **out;
    log_->write(LogLevel::kInfo, kCaller, "loaded plugin",
                json_fields({{"plugin", full_plugin_name(choice.request.kind, choice.request.name)},
                             {"version", loaded.info.version},
                             {"path", loaded.path}}));
    return {};
  }

  template <typename T>
  Status create_one(const PluginChoice& choice, const LoadedPlugin& loaded, Ref<T>* out) {
    PluginRequest request = choice.request;
    request.host = services(full_plugin_name(request.kind, request.name));
    void* made = nullptr;
    plugin::Object* object = nullptr;
    Status status = loader_.create(loaded, request, T::kId, &made, &object);
    if (status.ok()) *out = Ref<T>::adopt(static_cast<T*>(made));
    return named(choice.where, status);
  }

  LogSink* log_;
  Loader loader_;  // one for all: it notices a plugin that is there twice
  const LoadedPlugin* storage_ = nullptr;
  std::vector<const LoadedPlugin*> transports_;
};

bool is_initialized(const Config& config) {
  struct stat info {};
  return stat((config.node.data_directory + "/member").c_str(), &info) == 0;
}

// What is there already must be a folder.
Status check_folder(const char* flag, const std::string& path) {
  struct stat info {};
  bool is_there = stat(path.c_str(), &info) == 0;
  if (is_there ? S_ISDIR(info.st_mode) : errno != ENOTDIR) return {};
  return Status(plugin::Code::kInvalid, std::string(flag) + ": " + path + ": " + std::strerror(ENOTDIR));
}

Status check_folders(const Config& config) {
  Status status = check_folder("--data-dir", config.node.data_directory);
  return status.ok() ? check_folder("--wal-dir", config.node.wal_directory) : status;
}

bool serves(const PluginChoice& transport, ListenerRole role) {
  return std::find(transport.roles.begin(), transport.roles.end(), role) != transport.roles.end();
}

// 0700, as etcd makes it; folders above it must be there already, but for one level.
Status make_data_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  std::string parent = path.substr(0, path.rfind('/'));
  if (errno == ENOENT && parent.size() > 1 && make_data_directory(parent).ok() &&
      mkdir(path.c_str(), 0700) == 0)
    return {};
  return Status(plugin::Code::kIo, "--data-dir: " + path + ": " + std::strerror(errno));
}

class Run {
 public:
  Run(const Config& config, const PluginsConfig& plugins, LogSink* log)
      : config_(config),
        plugin_config_(plugins),
        sink_(log),
        log_(lasting(log->named("core"))),
        host_log_(lasting(log->named(kCaller))) {}

  int run() {
    handle_signals(host_log_, [this](const char* name) { on_signal(name); });
    if (Status s = start(); !s.ok()) {
      fatal("cannot start", error_fields(s));
      return leave(1);
    }
    executor_->run();
    return leave(exit_code_);
  }

 private:
  void say(LogLevel level, std::string_view message, const std::string& fields = "{}") {
    sink_->write(level, kCaller, message, fields);
  }
  void fatal(std::string_view message, const std::string& fields) { say(LogLevel::kFatal, message, fields); }

  Status start() {
    if (Status s = check_folders(config_); !s.ok()) return s;
    if (Status s = make_data_directory(config_.node.data_directory); !s.ok()) return s;
    bool is_old = is_initialized(config_);
    if (Status s = is_old ? Status() : check_bootstrap(config_); !s.ok()) return s;
    // Whose data it is shows when it is opened.
    say(LogLevel::kInfo, is_old ? "opening the data directory" : "initializing a new member",
        json_fields({{"data-dir", config_.node.data_directory}}));
    if (Status s = plugins_.load(plugin_config_); !s.ok()) return s;
    if (Status s = plugins_.create(plugin_config_, &engine_, &transports_); !s.ok()) return s;
    LoopOptions loop;
    loop.log = host_log_;
    executor_ = std::make_unique<AsioExecutor>(loop);
    memory_ = std::make_unique<MemoryReturn>(executor_.get());
    if (Status s = start_node(); !s.ok()) return s;
    NetOptions net;
    net.log = host_log_;
    net_ = std::make_unique<Net>(executor_.get(), node_.get(), net);
    if (Status s = listen(config_.listen_peer, ListenerRole::kPeer); !s.ok()) return s;
    if (Status s = listen(config_.listen_client, ListenerRole::kClient); !s.ok()) return s;
    std::lock_guard lock(mutex_);
    phase_ = Phase::kRunning;
    executor_->post([this] { node_->begin(); });
    return {};
  }

  Status start_node() {
    NodeEnvironment environment;
    environment.runtime = {executor_.get(), &machine().files, &machine().random, log_};
    environment.engine = engine_.get();
    environment.engine_capabilities = plugins_.engine_capabilities();
    environment.stopwatch = &machine().clock;
    NodeOptions options = config_.node;
    options.engine_name = plugin_config_.storage.request.name;
    options.engine_options = plugin_config_.storage.request.options;
    NodeEvents events;
    events.on_ready = [this] { on_ready(); };
    events.on_fatal = [this](const std::string& why) { on_fatal(why); };
    Status status = Node::start(std::move(environment), std::move(options), std::move(events), &node_);
    malloc_trim(0);  // a start sorts all keys: it frees more than a node that runs allocates again
    return status;
  }

  Status listen(const std::vector<Url>& urls, ListenerRole role) {
    bool is_peer = role == ListenerRole::kPeer;
    for (const Url& url : urls) {
      ListenOptions options;
      options.address = url.address();
      options.role = role;
      options.limits = config_.limits;
      options.reuse_port = config_.reuse_port;
      for (size_t i = 0; i < transports_.size(); ++i)
        if (serves(plugin_config_.transports[i], role)) options.transports.push_back(transports_[i].get());
      std::string bound;
      if (Status s = net_->listen(options, &bound); !s.ok())
        return Status(s.code(),
                      std::string(is_peer ? "--listen-peer-urls: " : "--listen-client-urls: ") + s.text());
      say(LogLevel::kInfo, is_peer ? "serving peer traffic" : "serving client traffic",
          json_fields({{"address", bound}}));
      if (!is_peer && !url.is_unix()) insecure_.push_back(bound);
    }
    return {};
  }

  // What clients may speak: "grpc+tcp".
  std::string client_traffic() const {
    std::string names;
    for (const PluginChoice& transport : plugin_config_.transports)
      if (serves(transport, ListenerRole::kClient))
        names += (names.empty() ? "" : "+") + transport.request.name;
    return names;
  }

  void on_ready() {
    say(LogLevel::kInfo, "ready to serve client requests");
    for (const std::string& address : insecure_)
      say(LogLevel::kInfo, "serving client traffic insecurely; this is strongly discouraged!",
          json_fields({{"traffic", client_traffic()}, {"address", address}}));
    if (!notify_systemd("READY=1")) say(LogLevel::kWarn, "systemd was not told that the start is done");
  }

  void on_fatal(const std::string& why) {
    fatal("the node must not go on", json_fields({{"error", why}}));
    exit_code_ = 1;
    executor_->stop();
  }

  // On the signals' thread.
  void on_signal(const char* name) {
    say(LogLevel::kInfo, "received signal; shutting down", json_fields({{"signal", name}}));
    notify_systemd("STOPPING=1");
    std::lock_guard lock(mutex_);
    if (phase_ == Phase::kRunning) executor_->post([this] { drain(); });
    if (phase_ != Phase::kStarting) return;
    // Nobody was promised anything yet, and what is on the disk is as good as after a crash.
    sink_->flush(200);
    _exit(0);
  }

  void drain() {
    if (std::exchange(draining_, true)) return;
    say(LogLevel::kInfo, "closing server", json_fields({{"name", config_.node.name}}));
    net_->stop_listening();
    constexpr uint64_t kPatience = 5'000'000'000;
    executor_->at(executor_->clock().monotonic_ns() + kPatience, [this] {
      say(LogLevel::kWarn, "calls did not end in time; closing their connections");
      executor_->stop();
    });
    node_->drain([this] {
      net_->drain([this] { executor_->stop(); });
      // No call is left. A client that sits on an idle connection without reading does not answer the
      // goodbye.
      constexpr uint64_t kGoodbye = 300'000'000;
      executor_->at(executor_->clock().monotonic_ns() + kGoodbye, [this] { executor_->stop(); });
    });
  }

  // Everything in the order in which it leans on each other; then the log has the last word.
  int leave(int code) {
    {
      std::lock_guard lock(mutex_);
      phase_ = Phase::kLeaving;
    }
    net_.reset();
    memory_.reset();
    if (executor_) executor_->finish_lanes();  // a write to the engine may be under way
    if (node_) {
      if (Status s = node_->close(); !s.ok()) {
        say(LogLevel::kError, "the node did not close cleanly", error_fields(s));
        code = 1;
      }
    }
    node_.reset();
    executor_.reset();
    engine_.reset();
    transports_.clear();
    if (code == 0) say(LogLevel::kInfo, "closed server", json_fields({{"name", config_.node.name}}));
    return code;
  }

  const Config& config_;
  const PluginsConfig& plugin_config_;
  LogSink* sink_;
  plugin::Log* log_;
  plugin::Log* host_log_;
  Plugins plugins_{sink_};
  Ref<plugin::Engine> engine_;
  std::vector<Ref<plugin::Transport>> transports_;
  std::unique_ptr<AsioExecutor> executor_;
  std::unique_ptr<MemoryReturn> memory_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Net> net_;
  std::vector<std::string> insecure_;
  enum class Phase : uint32_t { kStarting, kRunning, kLeaving };
  std::mutex mutex_;  // of phase_, which the signals' thread reads
  Phase phase_ = Phase::kStarting;
  bool draining_ = false;
  int exit_code_ = 0;
};

}  // namespace

int check_config(const Config& config, const PluginsConfig& plugins, LogSink* log) {
  Status status = check_folders(config);
  if (status.ok() && !is_initialized(config)) status = check_bootstrap(config);
  Plugins loaded(log);
  if (status.ok()) status = loaded.load(plugins);
  if (!status.ok()) {
    log->write(LogLevel::kFatal, kCaller, "the configuration is wrong", error_fields(status));
    return 1;
  }
  std::string text = describe(config) + "\n" + describe(plugins);
  return write_out(text) ? 0 : 1;
}

int run_node(const Config& config, const PluginsConfig& plugins, LogSink* log) {
  // For the life of the process: the signals' thread refers to it.
  auto* run = new Run(config, plugins, log);
  return run->run();
}

}  // namespace quorate::host

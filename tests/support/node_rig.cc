#include "support/node_rig.h"

#include <stdexcept>
#include <utility>

namespace quorate::test {

void ClientCall::write(plugin::View<plugin::Buffer> message) noexcept {
  std::string bytes;
  for (const plugin::Buffer& b : message) bytes.append(b.chars(), b.size());
  if (!reading) {
    queued += bytes.size();
    owes_writable_ = owes_writable_ || queued > kMark;
  }
  messages.push_back(std::move(bytes));
}

void ClientCall::stop_reading(uint64_t waiting) {
  reading = false;
  queued = waiting;
  owes_writable_ = queued > kMark;
}

void ClientCall::read_on() {
  reading = true;
  queued = 0;
  if (std::exchange(owes_writable_, false) && !ended) reader->on_writable();
}

void ClientCall::finish(uint32_t c, plugin::ByteView t, plugin::View<plugin::Header>) noexcept {
  if (ended) return;
  ended = true;
  code = static_cast<api::GrpcCode>(c);
  text.assign(t.chars(), t.size);
}

void ClientCall::cancel() {
  ended = true;
  plugin::End end;
  end.cause = plugin::EndCause::kCancelled;
  if (reader) reader->on_end(end);
}

NodeRig::NodeRig(std::string engine, uint64_t seed)
    : executor(seed), engine_name_(std::move(engine)), random_(plugin::make<SeededRandom>(seed)) {
  descriptor_ = &load_plugin(plugin_path(QUORATE_BINARY_DIR, "storage-" + engine_name_));
  options.name = "n0";
  options.data_directory = "/data";
  options.initial_cluster = {{"n0", {"http://localhost:2380"}}};
  options.peer_urls = {"http://localhost:2380"};
  options.client_urls = {"http://localhost:2379"};
  options.engine_name = engine_name_;
  options.wal_segment_bytes = 1 << 20;
  files->make_dirs("/data");
}

NodeRig::~NodeRig() {
  if (node_) power_cut(PowerCut::keep_all());
}

plugin::Status NodeRig::start() {
  host_ = plugin::make<PluginHost>(files.get(), log.get(), &executor.clock(), random_.get());
  plugin::Object* object = nullptr;
  if (plugin::Status s = descriptor_->create(host_.get(), {}, &object); !s.ok()) return s;
  engine_ =
      plugin::Ref<plugin::Engine>::adopt(static_cast<plugin::Engine*>(object->query(plugin::Engine::kId)));
  NodeEnvironment environment;
  environment.runtime.executor = &executor;
  environment.runtime.files = files.get();
  environment.runtime.random = random_.get();
  environment.runtime.log = log.get();
  environment.engine = engine_.get();
  environment.stopwatch = stopwatch;
  environment.engine_capabilities = descriptor_->capabilities;
  NodeEvents events;
  ready = false;
  events.on_ready = [this] { ready = true; };
  events.on_fatal = [this](const std::string& why) { fatal = why; };
  if (plugin::Status s = Node::start(environment, options, std::move(events), &node_); !s.ok()) return s;
  node_->begin();
  executor.run_until_idle();
  return {};
}

plugin::Status NodeRig::stop() {
  bool drained = false;
  node_->drain([&] { drained = true; });
  for (int i = 0; i < 100 && !drained; ++i) {
    executor.run_until_idle();
    if (!drained) executor.advance(100'000'000);
  }
  if (!drained) return plugin::Status(plugin::Code::kInternal, "the node does not drain");
  executor.kill();
  plugin::Status status = node_->close();
  node_.reset();
  engine_.reset();
  executor.kill();
  return status;
}

void NodeRig::power_cut(PowerCut cut) {
  files->fail_power_at(1);  // whatever the dying process still does reaches no disk
  executor.kill();
  node_.reset();
  engine_.reset();
  executor.kill();
  files->power_cut(cut);
  fatal.clear();
}

plugin::Ref<ClientCall> NodeRig::open(std::string_view method,
                                      std::vector<std::pair<std::string, std::string>> metadata,
                                      uint64_t deadline_ns, plugin::Connection* connection) {
  auto call = plugin::make<ClientCall>();
  std::vector<plugin::Header> headers;
  for (const auto& [name, value] : metadata) {
    headers.push_back({{name.data(), name.size()}, {value.data(), value.size()}});
  }
  plugin::CallInfo info;
  info.method = {method.data(), method.size()};
  info.metadata = {headers.data(), headers.size()};
  info.deadline_ns = deadline_ns;
  info.connection = connection;
  node_->on_call(info, call.get(), call->reader.out());
  return call;
}

int64_t NodeRig::put(std::string_view key, std::string_view value, int64_t lease) {
  auto c = call("/etcdserverpb.KV/Put", api::PutRequest{.key = key, .value = value, .lease = lease});
  if (!c->ok()) throw std::runtime_error("put: " + c->text);
  return reply<api::PutResponse>(*c).header->revision;
}

std::optional<std::string> NodeRig::get(std::string_view key) {
  auto c = call("/etcdserverpb.KV/Range", api::RangeRequest{.key = key});
  if (!c->ok()) throw std::runtime_error("get: " + c->text);
  auto response = reply<api::RangeResponse>(*c);
  if (response.kvs.empty()) return std::nullopt;
  return std::string(response.kvs[0].value);
}

}  // namespace quorate::test

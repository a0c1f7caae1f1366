#include "transport/peers.h"

#include <gtest/gtest.h>

#include "support/plugin_host.h"

namespace quorate::test {

Metadata copy(plugin::View<plugin::Header> headers) {
  Metadata out;
  for (const plugin::Header& h : headers) out.emplace_back(text(h.name), text(h.value));
  return out;
}

HeaderViews::HeaderViews(Metadata metadata) : metadata_(std::move(metadata)) {
  for (const auto& [name, value] : metadata_) views_.push_back({test::view(name), test::view(value)});
}

void Recorder::note(const char* event) {
  EXPECT_FALSE(ended) << event << " after on_end";
  events.emplace_back(event);
}

void Recorder::on_headers(plugin::View<plugin::Header> h) noexcept {
  note("headers");
  headers = copy(h);
}

void Recorder::on_message(plugin::Buffer message) noexcept {
  note("message");
  EXPECT_FALSE(saw("half_close")) << "a message after the half-close";
  messages.emplace_back(message.empty() ? "" : message.chars(), message.size());
  if (message_hook) message_hook(messages.back());
}

void Recorder::on_half_close() noexcept {
  EXPECT_FALSE(saw("half_close")) << "two half-closes";
  note("half_close");
  if (half_close_hook) half_close_hook();
}

void Recorder::on_writable() noexcept {
  note("writable");
  if (writable_hook) writable_hook();
}

void Recorder::on_end(const plugin::End& end) noexcept {
  note("end");
  ended = true;
  cause = end.cause;
  code = end.code;
  end_text = text(end.text);
  trailers = copy(end.trailers);
  if (end_hook) end_hook();
}

std::string Recorder::order() const {
  std::string out;
  for (const std::string& event : events) out += (out.empty() ? "" : " ") + event;
  return out;
}

bool Recorder::saw(const std::string& event) const {
  for (const std::string& e : events) {
    if (e == event) return true;
  }
  return false;
}

void Handler::on_call(const plugin::CallInfo& info, plugin::ServerWriter* writer,
                      plugin::StreamReader** out) noexcept {
  ++count;
  auto call = std::make_shared<ServerSide>();
  call->method = text(info.method);
  call->authority = text(info.authority);
  call->metadata = copy(info.metadata);
  call->deadline_ns = info.deadline_ns;
  call->writer = plugin::Ref<plugin::ServerWriter>::share(writer);
  call->reader = plugin::make<Recorder>();
  if (keep) calls.push_back(call);
  if (hook) hook(*call);
  if (!refuse_reader) *out = plugin::Ref<Recorder>(call->reader).detach();
}

void answer_unary(ServerSide& call, const std::function<std::string(const std::string&)>& reply) {
  plugin::Ref<plugin::ServerWriter> writer = call.writer;
  Recorder* reader = call.reader.get();
  reader->half_close_hook = [writer, reader, reply] {
    write(writer.get(), reply(reader->messages.empty() ? "" : reader->messages.back()));
    finish(writer.get());
  };
}

void write(plugin::Writer* writer, std::string_view message) {
  plugin::Buffer b = buffer(message);
  writer->write({&b, 1});
}

void finish(plugin::ServerWriter* writer, uint32_t code, std::string_view why,
            plugin::View<plugin::Header> trailers) {
  writer->finish(code, view(why), trailers);
}

plugin::Ref<plugin::Transport> load_transport(const char* binary_dir,
                                              std::vector<std::pair<std::string, std::string>> options,
                                              const std::string& name) {
  const plugin::Descriptor& descriptor = load_plugin(plugin_path(binary_dir, name));
  std::vector<plugin::Option> list;
  for (const auto& [key, value] : options) list.push_back({view(key), view(value)});
  plugin::Object* object = nullptr;
  plugin::Status status = descriptor.create(nullptr, {list.data(), list.size()}, &object);
  if (!status.ok()) throw std::runtime_error(status.text());
  return plugin::Ref<plugin::Transport>::adopt(
      static_cast<plugin::Transport*>(object->query(plugin::Transport::kId)));
}

Loopback::Loopback(const std::string& name, plugin::TransportLimits server_limits,
                   plugin::TransportLimits client_limits,
                   std::vector<std::pair<std::string, std::string>> options)
    : transport(load_transport(QUORATE_BINARY_DIR, std::move(options), name)),
      server(plugin::make<FakeConnection>(server_limits, 1)),
      client(plugin::make<FakeConnection>(client_limits, 2)) {
  events_.owner = this;
  plugin::Session* s = nullptr;
  EXPECT_TRUE(transport->serve(server.get(), &handler, &s).ok());
  server->attach(s);
  plugin::DialInfo dial;
  dial.authority = view("quorate.test:2379");
  dial.events = &events_;
  EXPECT_TRUE(transport->dial(client.get(), dial, &session_).ok());
  client->attach(session_);
}

Loopback::~Loopback() {
  client->lose();
  server->lose();
}

Loopback::ClientSide Loopback::open(std::string_view method, Metadata metadata, uint64_t deadline_ns) {
  HeaderViews headers(std::move(metadata));
  ClientSide side;
  side.reader = plugin::make<Recorder>();
  plugin::CallInfo info;
  info.method = view(method);
  info.metadata = headers.view();
  info.deadline_ns = deadline_ns;
  side.status = session_->open_call(info, side.reader.get(), side.writer.out());
  return side;
}

Loopback::ClientSide Loopback::unary(std::string_view method, std::string_view message) {
  ClientSide side = open(method);
  if (!side.status.ok()) return side;
  write(side.writer.get(), message);
  side.writer->half_close();
  run();
  return side;
}

}  // namespace quorate::test

// transport-grpc: gRPC over HTTP/2, on nghttp2. See README.md.
#include <cstring>

#include "client_session.h"
#include "options.h"
#include "quorate/plugin/abi.h"
#include "quorate/plugin/transport.h"
#include "server_session.h"

namespace quorate::grpc {
namespace {

using plugin::ByteView;
using plugin::Match;
using plugin::Status;

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr uint64_t kPrefaceSize = sizeof kPreface - 1;

class GrpcTransport final : public plugin::Counted<plugin::Transport> {
 public:
  explicit GrpcTransport(const Options& options) : options_(options) {}

  void* query(const char* id) noexcept override {
    return std::strcmp(id, plugin::Transport::kId) == 0 ? static_cast<plugin::Transport*>(this) : nullptr;
  }
  // An ALPN other than h2 is someone else's; without one the preface decides.
  Match match(ByteView first_bytes, ByteView alpn) noexcept override {
    if (!alpn.empty() && (alpn.size != 2 || std::memcmp(alpn.data, "h2", 2) != 0)) return Match::kNo;
    uint64_t size = first_bytes.size < kPrefaceSize ? first_bytes.size : kPrefaceSize;
    if (size != 0 && std::memcmp(first_bytes.data, kPreface, size) != 0) return Match::kNo;
    return size < kPrefaceSize ? Match::kNeedMore : Match::kYes;
  }
  ByteView alpn() noexcept override { return {"h2", 2}; }
  Status serve(plugin::Connection* connection, plugin::CallHandler* handler,
               plugin::Session** out) noexcept override {
    return plugin::guarded([&] { return ServerSession::make(connection, options_, handler, out); });
  }
  Status dial(plugin::Connection* connection, const plugin::DialInfo& info,
              plugin::ClientSession** out) noexcept override {
    return plugin::guarded([&] { return ClientSessionImpl::make(connection, options_, info, out); });
  }

 private:
  const Options options_;
};

Status create(plugin::HostServices*, plugin::View<plugin::Option> given, plugin::Object** out) noexcept {
  return plugin::guarded([&] {
    Options options;
    Status status = parse_options(given, &options);
    if (status.ok()) *out = static_cast<plugin::Transport*>(new GrpcTransport(options));
    return status;
  });
}

Status check(plugin::View<plugin::Option> given) noexcept {
  return plugin::guarded([&] { return parse_options(given, nullptr); });
}

}  // namespace
}  // namespace quorate::grpc

QUORATE_PLUGIN(kTransport, "grpc", "1.0.0", 0, quorate::grpc::create, quorate::grpc::check);

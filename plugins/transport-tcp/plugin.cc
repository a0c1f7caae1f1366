// transport-tcp: framed, checksummed calls over a connection. See README.md.
#include <cstring>

#include "client_session.h"
#include "options.h"
#include "quorate/plugin/abi.h"
#include "quorate/plugin/transport.h"
#include "server_session.h"

namespace quorate::tcp {
namespace {

using plugin::ByteView;
using plugin::Match;
using plugin::Status;

constexpr std::string_view kAlpn = "quorate-tcp/1";

class TcpTransport final : public plugin::Counted<plugin::Transport> {
 public:
  explicit TcpTransport(const Options& options) : options_(options) {}

  void* query(const char* id) noexcept override {
    return std::strcmp(id, plugin::Transport::kId) == 0 ? static_cast<plugin::Transport*>(this) : nullptr;
  }
  // Another ALPN is someone else's; without one the magic decides.
  Match match(ByteView first_bytes, ByteView alpn) noexcept override {
    if (!alpn.empty() && text(alpn) != kAlpn) return Match::kNo;
    const std::string_view begin = text(first_bytes).substr(0, kMagic.size());
    if (begin != kMagic.substr(0, begin.size())) return Match::kNo;
    return begin.size() < kMagic.size() ? Match::kNeedMore : Match::kYes;
  }
  ByteView alpn() noexcept override { return bytes(kAlpn); }
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
    if (status.ok()) *out = static_cast<plugin::Transport*>(new TcpTransport(options));
    return status;
  });
}

Status check(plugin::View<plugin::Option> given) noexcept {
  return plugin::guarded([&] { return parse_options(given, nullptr); });
}

}  // namespace
}  // namespace quorate::tcp

QUORATE_PLUGIN(kTransport, "tcp", "1.0.0", 0, quorate::tcp::create, quorate::tcp::check);

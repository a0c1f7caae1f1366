// The called side of peer connections: who has said Hello on which connection, and the frames that come in.
//
// [loop] Belongs to the listeners of role peer; its owner gives it calls whose method begins with
// kServicePrefix. Everything that a connection has said ends with it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "api/errors.h"
#include "peer/hello.h"
#include "quorate/base/function.h"
#include "quorate/plugin/transport.h"
#include "raft/message.h"

namespace quorate::peer {

// One unary call of another member.
struct Request {
  MemberId from;
  std::string_view method;
  plugin::Buffer message;
};
// Answers it, once, now or later; the caller may be gone by then.
using Answer = UniqueFunction<void(const api::RpcError&, plugin::Buffer)>;

class Acceptor {
 public:
  struct Hooks {
    // Judges a Hello and fills the Welcome; an error refuses.
    std::function<std::optional<api::RpcError>(const Hello&, Welcome*)> on_hello;
    std::function<void(MemberId from, raft::Message)> on_message;
    // Unary methods other than Hello; false: there is no such method.
    std::function<bool(Request, Answer)> on_request;
    // A frame that was not what was sent. The connection is aborted.
    std::function<void(MemberId from, const char* what)> on_damage;
  };
  explicit Acceptor(Hooks hooks) : hooks_(std::move(hooks)) {}
  ~Acceptor();

  void on_call(const plugin::CallInfo& info, plugin::ServerWriter* writer, plugin::StreamReader** out);
  // Aborts the connections of a member, e.g. of one that was removed.
  void disconnect(MemberId member);
  // Ends every stream, so that draining connections can close.
  void stop(const api::RpcError& why);

 private:
  class Stream;
  class HelloStream;
  class MessagesStream;
  class UnaryStream;

  struct Admission {
    MemberId member;
    plugin::Connection* connection;  // alive: its Hello's stream is
  };

  const Hooks hooks_;
  std::map<uint64_t, Admission> admitted_;  // by the connection's id
  std::set<Stream*> streams_;               // open ones; they know when this goes
};

}  // namespace quorate::peer

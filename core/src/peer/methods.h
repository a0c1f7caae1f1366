// What members call on each other, over any transport. Core's own methods: transports know none of them.
#pragma once

#include <string_view>

namespace quorate::peer {

// A stream that stays open as long as the connection is of use: one Hello up, one Welcome down (hello.h).
// First.
inline constexpr std::string_view kHelloMethod = "/quorate.Peer/Hello";
// A stream of frames (frame.h) up, on the control and the append lane; nothing comes down.
inline constexpr std::string_view kMessagesMethod = "/quorate.Peer/Messages";

inline constexpr std::string_view kServicePrefix = "/quorate.Peer/";

}  // namespace quorate::peer

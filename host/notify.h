// systemd's Type=notify.
#pragma once

#include <string>

namespace quorate::host {

// Sends "READY=1" or the like to the socket that $NOTIFY_SOCKET names; does nothing without one. False: it
// was named, and the message did not go out. Does not wait.
bool notify_systemd(const std::string& state);

}  // namespace quorate::host

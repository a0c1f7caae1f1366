// Messages as one line of text, for logs and for the texts etcd makes of them: `memberID:8 alarm:NOSPACE`.
#pragma once

#include <string>
#include <string_view>

#include "wire/table.h"

namespace quorate::wire {

struct TextOptions {
  size_t max_bytes = 128;    // of one string or bytes value; the rest is counted, not shown
  size_t max_elements = 16;  // of one repeated field
  bool sizes_only = false;   // of fields with kContent: value_size:3 in place of value:"abc"
};

// Secret fields (passwords, tokens) show as name:"***".
std::string to_text(const MessageTable& table, const void* message, const TextOptions& options = {});

template <typename M>
std::string to_text(const M& message, const TextOptions& options = {}) {
  return to_text(M::kTable, &message, options);
}

}  // namespace quorate::wire

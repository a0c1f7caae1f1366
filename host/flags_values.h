// What the flags of one start are set to, and by whom. Every text in it is well-formed for its flag's type.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/flags.h"
#include "quorate/plugin/base.h"

namespace quorate::host {

enum class FlagSource : uint32_t { kDefault, kFlag, kEnvironment, kFile };

struct FlagValue {
  std::string text;
  FlagSource source = FlagSource::kDefault;
  std::string where;  // "--name", "ETCD_NAME", "/etc/x.yaml:3"

  bool given() const { return source != FlagSource::kDefault; }
};

class FlagValues {
 public:
  FlagValues();  // the defaults

  const FlagValue& at(size_t index) const { return values_[index]; }
  const FlagValue& get(std::string_view name) const { return values_[flag_index(name)]; }
  // invalid: the text is not of the flag's type; the status' text names `where`.
  plugin::Status set(size_t index, std::string text, FlagSource source, std::string where);

  const std::string& text(std::string_view name) const { return get(name).text; }
  bool boolean(std::string_view name) const;
  uint64_t number(std::string_view name) const;
  int64_t signed_number(std::string_view name) const;          // durations too: nanoseconds
  std::vector<std::string> list(std::string_view name) const;  // sorted, without repetitions, as etcd does

 private:
  std::vector<FlagValue> values_;
};

// The texts of Go's flag package: what they mean, or nothing.
std::optional<bool> parse_bool(std::string_view text);
std::optional<uint64_t> parse_unsigned(std::string_view text);
std::optional<int64_t> parse_signed(std::string_view text);
std::optional<int64_t> parse_duration(std::string_view text);  // nanoseconds
std::vector<std::string> split_list(std::string_view text, char separator = ',');
// `text` in double quotes, control characters escaped: for messages.
std::string in_quotes(std::string_view text);

}  // namespace quorate::host

// Random protobuf messages by reflection, and their twins as our structs.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include <google/protobuf/message.h>

#include "wire/arena.h"
#include "wire/table.h"

namespace quorate::wire {

// Every message there is a table for, by full name.
const std::vector<const MessageTable*>& all_tables();
// Protobuf's message of the same name; fails the process if the protos lack it.
std::unique_ptr<google::protobuf::Message> new_protobuf(const MessageTable& table);

struct RandomOptions {
  bool plain_strings = false;  // only characters that every JSON writer leaves alone
  int depth = 6;
};

// Fills `m`: every field absent, default, small, extreme or long with a fair share each; enums beyond their
// names.
class RandomMessages {
 public:
  explicit RandomMessages(uint64_t seed) : random_(seed) {}

  void fill(google::protobuf::Message* m, const RandomOptions& options);
  uint64_t below(uint64_t n) { return n == 0 ? 0 : random_() % n; }
  bool one_in(uint64_t n) { return below(n) == 0; }
  uint64_t integer();
  std::string bytes();
  std::string text(bool plain);

 private:
  void fill_one(google::protobuf::Message* m, const google::protobuf::FieldDescriptor* f,
                const RandomOptions& options, bool add);
  size_t length();
  std::mt19937_64 random_;
};

// Copies `from` into `to`, a zeroed struct of `table`, member by member and without the codec. Strings are
// views into `from`.
void copy_to_struct(const google::protobuf::Message& from, const MessageTable& table, void* to, Arena& arena);

// From QUORATE_SEED, or 1.
uint64_t test_seed();
// `normal`, or `soak` if QUORATE_SOAK is set.
int rounds(int normal, int soak);

}  // namespace quorate::wire

// Tier 1 of the plugin ABI, frozen for ever: the descriptor. A plugin defines exactly one,
//
//   QUORATE_PLUGIN(kStorage, "rocksdb", "1.0.0", kCapDeleteRange, create, check_options);
//
// a constant-initialised object in an ELF section of its own, whose symbol name carries the ABI's major
// number. Everything but the two pointers is inline and needs no relocation, so the loader reads and checks
// it from the file before any of the plugin's code runs. `quorate plugin inspect FILE` prints it.
#pragma once

#include "quorate/plugin/base.h"
#include "quorate/plugin/host.h"

namespace quorate::plugin {

inline constexpr uint32_t kAbiMajor = 1;
inline constexpr uint32_t kAbiMinor = 0;  // the SDK's; a plugin states the least it needs
inline constexpr char kSymbol[] = "quorate_plugin_v1";
inline constexpr char kSection[] = ".quorate.plugin";
inline constexpr char kMagic[16] = {'Q', 'U', 'O', 'R', 'A', 'T', 'E',  ' ',
                                    'P', 'L', 'U', 'G', 'I', 'N', '\n', 0};

enum class Kind : uint32_t { kStorage = 1, kTransport = 2, kAuth = 3 };

inline const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kStorage:
      return "storage";
    case Kind::kTransport:
      return "transport";
    case Kind::kAuth:
      return "auth";
  }
  return "unknown";
}

enum Capability : uint64_t {
  kCapDeleteRange = 1 << 0,  // storage: WriteOp of kind delete-range
  kCapCheckpoint = 1 << 1,   // storage: quorate.storage.checkpoint/1
  kCapPinnedReads = 1 << 2,  // storage: get() and scan() may hand out memory that lives until the view dies
  kCapVolatile = 1 << 3,     // storage: nothing survives the process; core keeps the log instead
  kCapOwnIo = 1 << 4,        // storage: does not use the host's Files (maps files, say)
  kCapOwnsThreads =
      1 << 5,  // runs threads of its own (storage engines; an auth plugin that asks the network)
};

// A dotted key and a TOML scalar as text, from [storage.options] and its like in plugins.toml.
struct Option {
  ByteView key;
  ByteView value;
};

// Makes the plugin's root object: an Engine, a Transport or a Channel, by kind. Touches no disk, starts no
// thread.
using CreateFn = Status (*)(HostServices* host, View<Option> options, Object** out) noexcept;
// Validates options without side effects: an error names the option. May be asked again with fewer of them.
using CheckOptionsFn = Status (*)(View<Option> options) noexcept;

struct Descriptor {
  char magic[16];
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;  // needed at least
  Kind kind;
  char name[64];  // without the kind: "rocksdb"
  char version[32];
  char architecture[16];  // "x86_64", "aarch64"
  char sanitizer[16];     // "", "address", "thread"
  uint64_t capabilities;
  CreateFn create;
  CheckOptionsFn check_options;
};
static_assert(sizeof(Descriptor) == 16 + 16 + 64 + 32 + 16 + 16 + 8 + 16);

inline constexpr const char* this_architecture() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#else
#error "an architecture that no name was given to yet"
#endif
}

inline constexpr const char* this_sanitizer() {
#if defined(__SANITIZE_ADDRESS__)
  return "address";
#elif defined(__SANITIZE_THREAD__)
  return "thread";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return "address";
#elif __has_feature(thread_sanitizer)
  return "thread";
#else
  return "";
#endif
#else
  return "";
#endif
}

namespace internal {
template <uint64_t N>
constexpr void put_text(char (&into)[N], const char* text) {
  uint64_t i = 0;
  for (; text[i] != 0; ++i) {
    if (i + 1 >= N) throw "the text is too long for the descriptor";  // ill-formed in a constant expression
    into[i] = text[i];
  }
  for (; i < N; ++i) into[i] = 0;
}
}  // namespace internal

constexpr Descriptor describe(Kind kind, const char* name, const char* version, uint64_t capabilities,
                              CreateFn create, CheckOptionsFn check_options, uint32_t abi_minor = 0) {
  Descriptor d{};
  for (int i = 0; i < 16; ++i) d.magic[i] = kMagic[i];
  d.struct_size = sizeof(Descriptor);
  d.abi_major = kAbiMajor;
  d.abi_minor = abi_minor;
  d.kind = kind;
  internal::put_text(d.name, name);
  internal::put_text(d.version, version);
  internal::put_text(d.architecture, this_architecture());
  internal::put_text(d.sanitizer, this_sanitizer());
  d.capabilities = capabilities;
  d.create = create;
  d.check_options = check_options;
  return d;
}

}  // namespace quorate::plugin

#define QUORATE_PLUGIN(KIND, NAME, VERSION, CAPABILITIES, CREATE, CHECK_OPTIONS)                      \
  extern "C" __attribute__((                                                                          \
      visibility("default"), used,                                                                    \
      section(".quorate.plugin"))) constinit const ::quorate::plugin::Descriptor quorate_plugin_v1 =  \
      ::quorate::plugin::describe(::quorate::plugin::Kind::KIND, NAME, VERSION, CAPABILITIES, CREATE, \
                                  CHECK_OPTIONS)

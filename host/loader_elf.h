// Reads a plugin's descriptor from its ELF file, without running anything of it. The file is hostile: every
// offset is checked against its size, and nothing is allocated by a length that it states, beyond 1 MiB of
// section names.
#pragma once

#include <string>

#include "host/loader_refusals.h"
#include "quorate/plugin/abi.h"

namespace quorate::host {

// What a descriptor says, without the pointers, which exist only in a loaded library.
struct DescriptorInfo {
  uint32_t abi_major = 0;
  uint32_t abi_minor = 0;
  plugin::Kind kind{};
  std::string name;
  std::string version;
  std::string architecture;
  std::string sanitizer;
  uint64_t capabilities = 0;
  std::string machine;  // of the ELF header: what the code really is
  // The bytes themselves, as far as they need no relocation.
  uint8_t inline_bytes[offsetof(plugin::Descriptor, create)] = {};
};

// `path` names the file in refusals: not an ELF file … malformed descriptor, the rows kNotElf to
// kBadDescriptor.
plugin::Status read_descriptor(const std::string& path, int fd, DescriptorInfo* out);

}  // namespace quorate::host

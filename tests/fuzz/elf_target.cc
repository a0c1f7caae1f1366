// Any bytes as a plugin's file: what the host reads of it before it runs any of it.
#include <elf.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "fuzz/target.h"
#include "host/loader_elf.h"

namespace quorate::fuzz {
namespace {

template <size_t N>
void put(char (&field)[N], std::string_view text) {
  text.copy(field, N - 1);
}

// The smallest library with a descriptor: a header, the names of sections, the descriptor, three sections.
std::string small_library(plugin::Kind kind, const char* name) {
  plugin::Descriptor d{};
  std::memcpy(d.magic, plugin::kMagic, sizeof d.magic);
  d.struct_size = sizeof d;
  d.abi_major = plugin::kAbiMajor;
  d.kind = kind;
  put(d.name, name);
  put(d.version, "1.2.3");
  put(d.architecture, plugin::this_architecture());
  const std::string names = std::string(1, '\0') + ".shstrtab" + '\0' + plugin::kSection + '\0';
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 1;
  Elf64_Shdr sections[3]{};
  sections[1].sh_name = 1;
  sections[1].sh_type = SHT_STRTAB;
  sections[1].sh_offset = sizeof header;
  sections[1].sh_size = names.size();
  sections[2].sh_name = 11;
  sections[2].sh_type = SHT_PROGBITS;
  sections[2].sh_offset = sizeof header + names.size();
  sections[2].sh_size = sizeof d;
  header.e_shoff = sections[2].sh_offset + sizeof d;
  std::string file(reinterpret_cast<const char*>(&header), sizeof header);
  file += names;
  file.append(reinterpret_cast<const char*>(&d), sizeof d);
  return file.append(reinterpret_cast<const char*>(sections), sizeof sections);
}

std::vector<std::string> seeds() {
  return {small_library(plugin::Kind::kStorage, "fixture"), small_library(plugin::Kind::kAuth, "x")};
}

bool is_word(const std::string& s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

void run(std::string_view input) {
  int fd = memfd_create("plugin", MFD_CLOEXEC);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(write(fd, input.data(), input.size()), static_cast<ssize_t>(input.size()));
  host::DescriptorInfo info;
  plugin::Status status = host::read_descriptor("plugin.so", fd, &info);
  close(fd);
  if (!status.ok()) {
    EXPECT_NE(std::string_view(status.text()).find("plugin.so"), std::string_view::npos) << status.text();
    return;
  }
  EXPECT_TRUE(is_word(info.name) && is_word(info.version) && is_word(info.architecture));
  EXPECT_EQ(info.abi_major, plugin::kAbiMajor);
  std::string_view bytes(reinterpret_cast<const char*>(info.inline_bytes), sizeof info.inline_bytes);
  EXPECT_NE(input.find(bytes), std::string_view::npos) << "what was read is not in the file";
}

const Target kTarget{"elf", seeds, run, 10'000};
const Registered kRegistered(&kTarget);

}  // namespace
}  // namespace quorate::fuzz

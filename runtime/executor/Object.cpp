//===- Object.cpp - generated code in this process ------------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/executor/Object.h"
#include "runtime/base/Error.h"
#include "runtime/base/File.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace contraflow::executor {

using base::Error;
using base::ErrorId;
using base::message;
using base::text;

namespace {

/// A file in memory that may be executed. Kernels before 6.3 do not know MFD_EXEC and need no asking.
int createMemoryFile() {
  int descriptor = memfd_create("contraflow-object", MFD_CLOEXEC | MFD_EXEC);
  if (descriptor < 0 && errno == EINVAL)
    descriptor = memfd_create("contraflow-object", MFD_CLOEXEC);
  return descriptor;
}

/// What a user can do about some limits is no part of the system's text.
std::string explain(int error) {
  const char *limit = error == EFBIG ? " (ulimit -f)" : error == EMFILE ? " (ulimit -n)" : "";
  return text(std::strerror(error), limit);
}

/// Loading opens the file once more. What it says where that cannot be leaves no reason but text.
bool canOpenAgain(int descriptor) {
  int second = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (second >= 0)
    close(second);
  return second >= 0;
}

/// An element of an array in the file; false where the file has no such bytes.
template <typename T> bool load(const std::string &bytes, uint64_t offset, T &result) {
  if (offset > bytes.size() || sizeof(T) > bytes.size() - offset)
    return false;
  std::memcpy(&result, bytes.data() + offset, sizeof(T));
  return true;
}

} // namespace

Object::Object(const std::string &bytes) {
  int descriptor = createMemoryFile();
  if (descriptor < 0 || !canOpenAgain(descriptor))
    throw Error(message<ErrorId::CodeNoFile>(explain(errno)));
  bool written = base::writeAll(descriptor, bytes);
  int error = errno;
  if (written)
    handle = dlopen(text("/proc/self/fd/", descriptor).c_str(), RTLD_NOW | RTLD_LOCAL);
  const char *loadError = written && !handle ? dlerror() : nullptr;
  close(descriptor);
  if (!written)
    throw Error(message<ErrorId::CodeNoRoom>(explain(error)));
  if (!handle)
    throw Error(message<ErrorId::CodeNotLoaded>(loadError));
  link_map *map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map)
    loadAddress = map->l_addr;
  readSymbols(bytes);
}

Object::~Object() {
  if (handle)
    dlclose(handle);
}

cf_function Object::resolve(const std::string &name) const {
  if (void *address = dlsym(handle, name.c_str()))
    return reinterpret_cast<cf_function>(address);
  throw Error(message<ErrorId::CodeLacks>(name));
}

std::string Object::nameOf(const void *address) const {
  uint64_t offset = reinterpret_cast<uintptr_t>(address) - loadAddress;
  auto after = symbols.upper_bound(offset);
  if (after == symbols.begin())
    return "";
  const auto &[begin, symbol] = *std::prev(after);
  // Symbols written in assembly may have no size; their first byte is theirs all the same.
  return offset - begin < std::max<uint64_t>(symbol.bytes, 1) ? symbol.name : "";
}

/// The complete symbol table of the file, because dladdr sees exported symbols only.
void Object::readSymbols(const std::string &bytes) {
  Elf64_Ehdr header;
  if (!load(bytes, 0, header) || header.e_shentsize != sizeof(Elf64_Shdr))
    return;
  for (unsigned index = 0; index < header.e_shnum; ++index) {
    Elf64_Shdr section, strings;
    if (!load(bytes, header.e_shoff + index * sizeof(section), section) || section.sh_type != SHT_SYMTAB ||
        !load(bytes, header.e_shoff + section.sh_link * sizeof(strings), strings))
      continue;
    Elf64_Sym symbol;
    for (uint64_t at = 0; at + sizeof(symbol) <= section.sh_size; at += sizeof(symbol)) {
      if (!load(bytes, section.sh_offset + at, symbol))
        return;
      uint64_t name = strings.sh_offset + symbol.st_name;
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF && name < bytes.size())
        symbols[symbol.st_value] = {bytes.substr(name, bytes.find('\0', name) - name), symbol.st_size};
    }
  }
}

} // namespace contraflow::executor

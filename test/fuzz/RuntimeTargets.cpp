//===- RuntimeTargets.cpp - files that trainers read ----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/abi/Abi.h"
#include "runtime/abi/CheckpointFormat.h"
#include "runtime/abi/Manifest.h"
#include "runtime/abi/Safetensors.h"
#include "runtime/base/Error.h"
#include "test/fuzz/Targets.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace contraflow::fuzz {

void require(bool condition, const char *promise) {
  if (condition)
    return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

namespace {

/// A file in memory with a path, because files are mapped.
class MemoryFile {
public:
  explicit MemoryFile(std::string_view bytes) : descriptor(memfd_create("contraflow-fuzz", MFD_CLOEXEC)) {
    require(descriptor >= 0 && write(descriptor, bytes.data(), bytes.size()) == ssize_t(bytes.size()),
            "a file in memory can be made");
  }
  ~MemoryFile() { close(descriptor); }
  std::string getPath() const { return "/proc/self/fd/" + std::to_string(descriptor); }

private:
  int descriptor;
};

/// Runs `read`; the only exception that gets out of the runtime is its own, with a message.
template <typename Read> bool isAccepted(Read read) {
  try {
    read();
    return true;
  } catch (const base::Error &error) {
    require(error.what()[0] != '\0', "an error says something");
    return false;
  }
}

/// Reads every tensor in each way there is.
void readTensors(const abi::SafetensorsFile &file) {
  for (const auto &[name, tensor] : file.getTensors()) {
    require(file.find(name) == &tensor, "a tensor is found by its name");
    std::vector<float> floats(size_t(tensor.elements()));
    isAccepted([&] { file.readFloats(name, tensor.shape, floats); });
    isAccepted([&] { file.readIds(name); });
  }
}

} // namespace

void runSafetensors(std::string_view input) {
  MemoryFile memory(input);
  std::optional<abi::SafetensorsFile> file;
  if (!isAccepted([&] { file.emplace(memory.getPath()); }))
    return;
  isAccepted([&] { abi::verifyChecksums(*file); });
  isAccepted([&] { abi::stateOf(*file); });
  readTensors(*file);
}

void runManifest(std::string_view input) {
  // Inputs of the corpus outlive versions.
  constexpr std::string_view kVersion = "CF_ABI_VERSION";
  std::string source(input);
  if (size_t at = source.find(kVersion); at != std::string::npos)
    source.replace(at, kVersion.size(), std::to_string(CF_ABI_VERSION));
  abi::Manifest manifest;
  if (!isAccepted([&] { manifest = abi::Manifest::fromJson(source); }))
    return;
  std::string text = manifest.toJson();
  require(abi::Manifest::fromJson(text).toJson() == text,
          "a manifest that was accepted survives being written");
}

} // namespace contraflow::fuzz

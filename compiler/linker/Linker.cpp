//===- Linker.cpp - from an object to a trainer, without a C compiler -----===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// lld is linked into the compiler and works on files, so object and shared object pass through a temporary
// folder. Their paths enter no output: nothing in the result depends on where it was made.
#include "compiler/linker/Linker.h"

#include "compiler/errors/Errors.h"
#include "runtime/abi/Payload.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

LLD_HAS_DRIVER(elf)

using namespace llvm;

namespace contraflow::linker {
namespace {

/// Generated code may call the runtime's C interface and nothing else: a trainer on another machine must
/// not depend on the libm or libc that it happens to find there.
Error checkSymbols(StringRef object, ArrayRef<std::string> exports) {
  Expected<std::unique_ptr<object::ObjectFile>> file =
      object::ObjectFile::createELFObjectFile(MemoryBufferRef(object, "object"));
  if (!file)
    return file.takeError();
  StringSet<> defined;
  for (const object::SymbolRef &symbol : (*file)->symbols()) {
    Expected<uint32_t> flags = symbol.getFlags();
    Expected<StringRef> name = symbol.getName();
    if (!flags)
      return flags.takeError();
    if (!name)
      return name.takeError();
    if (!(*flags & object::SymbolRef::SF_Undefined))
      defined.insert(*name);
    else if (!name->empty() && !name->starts_with("cf_"))
      return createStringError(message<ErrorId::CodeCalls>(*name));
  }
  for (const std::string &name : exports)
    if (!defined.contains(name))
      return createStringError(message<ErrorId::CodeLacks>(name));
  return Error::success();
}

} // namespace

Expected<std::string> linkShared(StringRef object, ArrayRef<std::string> exports) {
  if (Error error = checkSymbols(object, exports))
    return std::move(error);

  SmallString<128> folder;
  if (std::error_code code = sys::fs::createUniqueDirectory("contraflow-link", folder))
    return createStringError(code, message<ErrorId::TemporaryFolder>(code.message()));
  auto cleanup = llvm::scope_exit([&] { sys::fs::remove_directories(folder); });
  SmallString<128> input(folder), output(folder);
  sys::path::append(input, "code.o");
  sys::path::append(output, "code.so");
  {
    std::error_code code;
    raw_fd_ostream stream(input, code);
    if (!code) {
      stream << object;
      stream.close();
      code = stream.error();
      stream.clear_error();
    }
    if (code)
      return createStringError(
          code, message<ErrorId::FileUnwritable>("'" + input.str().str() + "'", code.message()));
  }

  // One thread: sections are then always laid out alike. The SONAME stands in for the temporary path.
  const char *arguments[] = {"ld.lld",
                             "-shared",
                             "--build-id=none",
                             "--hash-style=gnu",
                             "--soname=code.so",
                             "--gc-sections",
                             "--threads=1",
                             "-znoexecstack",
                             "-zrelro",
                             "-znow",
                             "-o",
                             output.c_str(),
                             input.c_str()};
  std::string messages;
  raw_string_ostream errors(messages);
  lld::Result result = lld::lldMain(arguments, errors, errors, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return createStringError(message<ErrorId::LinkFailed>(StringRef(messages).trim()));
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(output);
  if (!buffer)
    return createStringError(
        buffer.getError(), message<ErrorId::NamedFileUnreadable>(output.str(), buffer.getError().message()));
  return (*buffer)->getBuffer().str();
}

Error writeTrainer(StringRef stub, StringRef output, StringRef sharedObject, StringRef manifest) {
  try {
    abi::appendPayload(stub.str(), output.str(), {sharedObject.str(), manifest.str()});
  } catch (const std::exception &error) {
    return createStringError(StringRef(error.what()));
  }
  return Error::success();
}

Expected<std::string> findStub(StringRef executable) {
  SmallString<128> path(sys::path::parent_path(executable));
  sys::path::append(path, "contraflow-stub");
  if (!sys::fs::exists(path))
    return createStringError(message<ErrorId::StubMissing>(path.str()));
  return std::string(path);
}

} // namespace contraflow::linker

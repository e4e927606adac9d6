//===- MpiLibrary.h - an MPI that is loaded by name -----------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two binary interfaces cover what people have:
//
//   Open MPI   handles are pointers to objects of the library: MPI_COMM_WORLD is &ompi_mpi_comm_world
//   MPICH      handles are ints with fixed values (the MPICH ABI Compatibility Initiative: MPICH, Intel MPI,
//              MVAPICH, Cray MPICH)
//
// A handle is a `uintptr_t` here. As an argument an int is the low half of a register, and where a function
// writes one through a pointer it writes the low half of a zero: true of 64-bit machines whose low byte comes
// first, all others are refused when this is compiled.
//
//===----------------------------------------------------------------------===//
#ifndef CONTRAFLOW_RUNTIME_COMM_MPILIBRARY_H
#define CONTRAFLOW_RUNTIME_COMM_MPILIBRARY_H

#include <bit>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace contraflow::comm {

static_assert(sizeof(void *) == 8 && std::endian::native == std::endian::little, "see above");

/// What has started this process as one of several ranks.
struct Launcher {
  std::string name;
  int size = 0;                       ///< ranks that it has started; 0: it does not say
  std::vector<std::string> libraries; ///< that it can start, best first
};

/// From the environment variables that launchers set; none where nothing has started it.
std::optional<Launcher> findLauncher(const std::function<const char *(const char *)> &getVariable);
/// The same from the environment of this process.
std::optional<Launcher> findLauncher();

using MpiHandle = uintptr_t;

/// The functions of an MPI library that are used, and the constants of its binary interface.
struct MpiLibrary {
  std::string name;
  MpiHandle world = 0;
  MpiHandle byte = 0;
  MpiHandle errorsReturn = 0;
  int anySource = 0;
  void *ignoreStatus = nullptr;
  int sourceInStatus = 0; ///< place of MPI_SOURCE in MPI_Status, in ints

  int (*initThread)(int *, char ***, int, int *) = nullptr;
  int (*finalize)() = nullptr;
  int (*abort)(MpiHandle, int) = nullptr;
  int (*commRank)(MpiHandle, int *) = nullptr;
  int (*commSize)(MpiHandle, int *) = nullptr;
  int (*commDup)(MpiHandle, MpiHandle *) = nullptr;
  int (*setErrorHandler)(MpiHandle, MpiHandle) = nullptr;
  int (*errorString)(int, char *, int *) = nullptr;
  int (*isend)(const void *, int, MpiHandle, int, int, MpiHandle, MpiHandle *) = nullptr;
  int (*irecv)(void *, int, MpiHandle, int, int, MpiHandle, MpiHandle *) = nullptr;
  int (*recv)(void *, int, MpiHandle, int, int, MpiHandle, void *) = nullptr;
  int (*test)(MpiHandle *, int *, void *) = nullptr;
  int (*iprobe)(int, int, MpiHandle, int *, void *) = nullptr;
  int (*getCount)(const void *, MpiHandle, int *) = nullptr;
};

/// Loads the first library of the launcher that is there. Throws base::Error where none is.
MpiLibrary loadMpi(const Launcher &launcher);

} // namespace contraflow::comm

#endif

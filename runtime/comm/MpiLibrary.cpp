//===- MpiLibrary.cpp - an MPI that is loaded by name ---------------------===//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/comm/MpiLibrary.h"
#include "runtime/base/Error.h"

#include <cstdlib>
#include <dlfcn.h>

namespace contraflow::comm {

namespace {

constexpr const char *kOpenMpi = "libmpi.so.40";
/// Debian's name of MPICH, then the name that MPICH, Intel MPI and others have elsewhere.
constexpr const char *kMpich = "libmpich.so.12";
constexpr const char *kMpichAbi = "libmpi.so.12";

int numberOf(const char *text) { return text ? std::atoi(text) : 0; }

template <typename Function>
void bindSymbol(void *handle, const std::string &library, const char *name, Function &function) {
  void *symbol = dlsym(handle, name);
  if (!symbol)
    throw base::Error(base::message<base::ErrorId::MpiLacks>(library, name));
  function = reinterpret_cast<Function>(symbol);
}

void bindFunctions(void *handle, MpiLibrary &mpi) {
  bindSymbol(handle, mpi.name, "MPI_Init_thread", mpi.initThread);
  bindSymbol(handle, mpi.name, "MPI_Finalize", mpi.finalize);
  bindSymbol(handle, mpi.name, "MPI_Abort", mpi.abort);
  bindSymbol(handle, mpi.name, "MPI_Comm_rank", mpi.commRank);
  bindSymbol(handle, mpi.name, "MPI_Comm_size", mpi.commSize);
  bindSymbol(handle, mpi.name, "MPI_Comm_dup", mpi.commDup);
  bindSymbol(handle, mpi.name, "MPI_Comm_set_errhandler", mpi.setErrorHandler);
  bindSymbol(handle, mpi.name, "MPI_Error_string", mpi.errorString);
  bindSymbol(handle, mpi.name, "MPI_Isend", mpi.isend);
  bindSymbol(handle, mpi.name, "MPI_Irecv", mpi.irecv);
  bindSymbol(handle, mpi.name, "MPI_Recv", mpi.recv);
  bindSymbol(handle, mpi.name, "MPI_Test", mpi.test);
  bindSymbol(handle, mpi.name, "MPI_Iprobe", mpi.iprobe);
  bindSymbol(handle, mpi.name, "MPI_Get_count", mpi.getCount);
}

/// Open MPI has objects that its handles point to; a library without them has the interface of MPICH.
void bindConstants(void *handle, MpiLibrary &mpi) {
  if (void *world = dlsym(handle, "ompi_mpi_comm_world")) {
    mpi.world = MpiHandle(world);
    bindSymbol(handle, mpi.name, "ompi_mpi_byte", mpi.byte);
    bindSymbol(handle, mpi.name, "ompi_mpi_errors_return", mpi.errorsReturn);
    mpi.anySource = -1;
    mpi.ignoreStatus = nullptr;
    mpi.sourceInStatus = 0;
    return;
  }
  mpi.world = 0x44000000;
  mpi.byte = 0x4c00010d;
  mpi.errorsReturn = 0x54000001;
  mpi.anySource = -2;
  mpi.ignoreStatus = reinterpret_cast<void *>(1);
  mpi.sourceInStatus = 2;
}

} // namespace

std::optional<Launcher> findLauncher(const std::function<const char *(const char *)> &get) {
  if (get("OMPI_COMM_WORLD_SIZE"))
    return Launcher{"mpirun of Open MPI", numberOf(get("OMPI_COMM_WORLD_SIZE")), {kOpenMpi}};
  bool isSlurm = get("SLURM_PROCID") && numberOf(get("SLURM_STEP_NUM_TASKS")) > 1;
  std::string name = isSlurm ? "srun" : "mpiexec";
  int tasks = isSlurm ? numberOf(get("SLURM_STEP_NUM_TASKS")) : 0;
  if (get("PMIX_RANK"))
    return Launcher{name, tasks, {kOpenMpi, kMpich, kMpichAbi}};
  if (get("PMI_RANK"))
    return Launcher{name, get("PMI_SIZE") ? numberOf(get("PMI_SIZE")) : tasks, {kMpich, kMpichAbi, kOpenMpi}};
  if (isSlurm)
    throw base::Error(base::message<base::ErrorId::MpiNoInterface>(tasks));
  return std::nullopt;
}

std::optional<Launcher> findLauncher() {
  return findLauncher([](const char *name) { return std::getenv(name); });
}

MpiLibrary loadMpi(const Launcher &launcher) {
  std::string reasons;
  for (const std::string &name : launcher.libraries) {
    // Plugins of Open MPI look for symbols of the library that loads them.
    if (void *handle = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
      MpiLibrary mpi;
      mpi.name = name;
      bindFunctions(handle, mpi);
      bindConstants(handle, mpi);
      return mpi;
    }
    reasons += (reasons.empty() ? "" : ", ") + std::string(dlerror());
  }
  throw base::Error(base::message<base::ErrorId::MpiMissing>(launcher.name, reasons));
}

} // namespace contraflow::comm

// The entries of CUDA's driver that we call, as one table: filled from the library that is opened at run time, so that
// the same program runs where there is none, or by a test with functions of its own.
#pragma once

#include <cuda.h>

#include <string_view>

#include "base/result.h"

// X(member, entry as cuda.h names it). The version of an entry is the one that cuda.h declares.
#define TESSERA_CUDA_ENTRIES(X)                                               \
  X(init, cuInit)                                                             \
  X(get_error_name, cuGetErrorName)                                           \
  X(driver_get_version, cuDriverGetVersion)                                   \
  X(device_get_count, cuDeviceGetCount)                                       \
  X(device_get, cuDeviceGet)                                                  \
  X(device_get_name, cuDeviceGetName)                                         \
  X(device_get_attribute, cuDeviceGetAttribute)                               \
  X(device_can_access_peer, cuDeviceCanAccessPeer)                            \
  X(device_get_dev_resource, cuDeviceGetDevResource)                          \
  X(primary_ctx_retain, cuDevicePrimaryCtxRetain)                             \
  X(primary_ctx_release, cuDevicePrimaryCtxRelease)                           \
  X(ctx_get_current, cuCtxGetCurrent)                                         \
  X(ctx_set_current, cuCtxSetCurrent)                                         \
  X(ctx_push_current, cuCtxPushCurrent)                                       \
  X(ctx_pop_current, cuCtxPopCurrent)                                         \
  X(sm_resource_split, cuDevSmResourceSplitByCount)                           \
  X(resource_generate_desc, cuDevResourceGenerateDesc)                        \
  X(green_ctx_create, cuGreenCtxCreate)                                       \
  X(green_ctx_destroy, cuGreenCtxDestroy)                                     \
  X(ctx_from_green_ctx, cuCtxFromGreenCtx)                                    \
  X(green_ctx_stream_create, cuGreenCtxStreamCreate)                          \
  X(stream_create, cuStreamCreate)                                            \
  X(stream_destroy, cuStreamDestroy)                                          \
  X(stream_wait_event, cuStreamWaitEvent)                                     \
  X(stream_write_value, cuStreamWriteValue32)                                 \
  X(stream_synchronize, cuStreamSynchronize)                                  \
  X(stream_begin_capture, cuStreamBeginCapture)                               \
  X(stream_end_capture, cuStreamEndCapture)                                   \
  X(event_create, cuEventCreate)                                              \
  X(event_destroy, cuEventDestroy)                                            \
  X(event_record, cuEventRecord)                                              \
  X(event_query, cuEventQuery)                                                \
  X(event_synchronize, cuEventSynchronize)                                    \
  X(graph_destroy, cuGraphDestroy)                                            \
  X(graph_clone, cuGraphClone)                                                \
  X(graph_get_nodes, cuGraphGetNodes)                                         \
  X(graph_get_root_nodes, cuGraphGetRootNodes)                                \
  X(graph_destroy_node, cuGraphDestroyNode)                                   \
  X(graph_node_get_type, cuGraphNodeGetType)                                  \
  X(graph_node_find_in_clone, cuGraphNodeFindInClone)                         \
  X(graph_node_get_dependencies, cuGraphNodeGetDependencies)                  \
  X(graph_node_get_dependents, cuGraphNodeGetDependentNodes)                  \
  X(graph_add_dependencies, cuGraphAddDependencies)                           \
  X(graph_kernel_node_get_params, cuGraphKernelNodeGetParams)                 \
  X(graph_kernel_node_set_params, cuGraphKernelNodeSetParams)                 \
  X(graph_kernel_node_get_attribute, cuGraphKernelNodeGetAttribute)           \
  X(graph_memset_node_get_params, cuGraphMemsetNodeGetParams)                 \
  X(graph_memcpy_node_get_params, cuGraphMemcpyNodeGetParams)                 \
  X(graph_add_kernel_node, cuGraphAddKernelNode)                              \
  X(graph_add_memset_node, cuGraphAddMemsetNode)                              \
  X(graph_add_memcpy_node, cuGraphAddMemcpyNode)                              \
  X(graph_instantiate, cuGraphInstantiateWithFlags)                           \
  X(graph_upload, cuGraphUpload)                                              \
  X(graph_launch, cuGraphLaunch)                                              \
  X(graph_exec_destroy, cuGraphExecDestroy)                                   \
  X(graph_exec_kernel_node_set_params, cuGraphExecKernelNodeSetParams)        \
  X(pointer_get_attribute, cuPointerGetAttribute)                             \
  X(pointer_get_attributes, cuPointerGetAttributes)                           \
  X(occupancy_max_active_blocks, cuOccupancyMaxActiveBlocksPerMultiprocessor) \
  X(mem_host_alloc, cuMemHostAlloc)                                           \
  X(mem_free_host, cuMemFreeHost)                                             \
  X(mem_alloc, cuMemAlloc)                                                    \
  X(mem_free, cuMemFree)                                                      \
  X(mem_get_info, cuMemGetInfo)                                               \
  X(mem_get_allocation_granularity, cuMemGetAllocationGranularity)            \
  X(mem_address_reserve, cuMemAddressReserve)                                 \
  X(mem_address_free, cuMemAddressFree)                                       \
  X(mem_create, cuMemCreate)                                                  \
  X(mem_release, cuMemRelease)                                                \
  X(mem_map, cuMemMap)                                                        \
  X(mem_unmap, cuMemUnmap)                                                    \
  X(mem_set_access, cuMemSetAccess)                                           \
  X(memset_d8_async, cuMemsetD8Async)                                         \
  X(memcpy_htod_async, cuMemcpyHtoDAsync)                                     \
  X(memcpy_dtoh_async, cuMemcpyDtoHAsync)                                     \
  X(memcpy_dtod_async, cuMemcpyDtoDAsync)                                     \
  X(library_load_data, cuLibraryLoadData)                                     \
  X(library_unload, cuLibraryUnload)                                          \
  X(library_get_kernel, cuLibraryGetKernel)                                   \
  X(kernel_get_function, cuKernelGetFunction)                                 \
  X(kernel_get_param_info, cuKernelGetParamInfo)                              \
  X(kernel_get_name, cuKernelGetName)                                         \
  X(func_get_param_info, cuFuncGetParamInfo)                                  \
  X(func_load, cuFuncLoad)                                                    \
  X(launch_kernel, cuLaunchKernel)

namespace tessera::device {

// Immutable value once filled; copied by who needs it for long.
struct Driver {
#define TESSERA_CUDA_MEMBER(member, entry) decltype(&entry) member = nullptr;
  TESSERA_CUDA_ENTRIES(TESSERA_CUDA_MEMBER)
#undef TESSERA_CUDA_MEMBER

  // Opens the driver's library, for good, and initialises it. To be called before other threads read the environment:
  // it sets CUDA_DEVICE_MAX_CONNECTIONS, where unset, to the most work queues there are.
  // Error: kUnavailable where this host has no driver or no GPU, kUnsupported where the driver is too old; the message
  // is one line that says what to do.
  static Result<Driver> open();
  // The same of a library that has been opened: `get` is its way to find entries; nullptr: it has none.
  static Result<Driver> from(decltype(&cuGetProcAddress) get);

  // The error of a call, as "doing: CUDA_ERROR_NAME (number)". kDeviceLost: the context is beyond repair;
  // kOutOfMemory: the card has no more; else kInternal.
  Status check(CUresult result, std::string_view doing) const;
};

// Whether every later call on that context will return this error too.
bool is_sticky(CUresult result);

}  // namespace tessera::device

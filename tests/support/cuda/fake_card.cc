// The card of the driver in memory, and its contexts.
#include <algorithm>
#include <cstring>

#include "tests/support/cuda/fake_cuda_impl.h"

namespace tessera::device::test {
namespace {

// A group of processors of a split, as CUdevResource carries it unseen.
struct Group {
  unsigned first;
  unsigned split;  // which split it is of
};

CUdevResource resource(unsigned first, unsigned count, unsigned split, unsigned smallest) {
  CUdevResource made{};
  made.type = CU_DEV_RESOURCE_TYPE_SM;
  const Group group{first, split};
  std::memcpy(made._internal_padding, &group, sizeof(group));
  made.sm = {count, smallest, smallest};
  return made;
}

Group group_of(const CUdevResource& resource) {
  Group group{};
  std::memcpy(&group, resource._internal_padding, sizeof(group));
  return group;
}

}  // namespace

CUresult FakeCuda::Impl::init(unsigned) { return CUDA_SUCCESS; }
CUresult FakeCuda::Impl::get_error_name(CUresult result, const char** name) {
  *name = result == CUDA_ERROR_OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
          : result == CUDA_ERROR_LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED"
                                               : "CUDA_ERROR";
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::driver_get_version(int* version) { return give(version, CUDA_VERSION); }
CUresult FakeCuda::Impl::device_get_count(int* count) { return give(count, options.gpus); }
CUresult FakeCuda::Impl::device_get(CUdevice* device, int ordinal) { return give(device, ordinal); }
CUresult FakeCuda::Impl::device_get_attribute(int* value, CUdevice_attribute attribute, CUdevice) {
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      return give(value, options.architecture / 10);
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
      return give(value, options.architecture % 10);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}
CUresult FakeCuda::Impl::device_can_access_peer(int* can, CUdevice, CUdevice) { return give(can, cards_apart ? 0 : 1); }
CUresult FakeCuda::Impl::device_get_name(char* name, int length, CUdevice) {
  std::strncpy(name, "fake gpu", static_cast<std::size_t>(length));
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::device_get_dev_resource(CUdevice, CUdevResource* all, CUdevResourceType) {
  return give(all, resource(0, options.processors, 0, options.group));
}

CUresult FakeCuda::Impl::primary_ctx_retain(CUcontext* context, CUdevice) { return made(context, &primary); }
CUresult FakeCuda::Impl::primary_ctx_release(CUdevice) { return gone(); }
CUresult FakeCuda::Impl::ctx_get_current(CUcontext* context) {
  return give(context, stack().empty() ? nullptr : reinterpret_cast<CUcontext>(stack().back()));
}

CUresult FakeCuda::Impl::ctx_set_current(CUcontext context) {
  stack().clear();
  stack().push_back(as<FakeContext>(context));
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::ctx_push_current(CUcontext context) {
  stack().push_back(as<FakeContext>(context));
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::ctx_pop_current(CUcontext* context) {
  *context = reinterpret_cast<CUcontext>(stack().back());
  stack().pop_back();
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::sm_resource_split(CUdevResource* parts, unsigned* groups, const CUdevResource* all,
                                           CUdevResource* rest, unsigned, unsigned smallest) {
  const unsigned possible = std::min(options.most_groups, all->sm.smCount / smallest);
  if (parts == nullptr) {
    return give(groups, possible);
  }
  *groups = std::min(*groups, possible);
  ++splits;
  for (unsigned i = 0; i < *groups; ++i) {
    parts[i] = resource(i * smallest, smallest, splits, smallest);
  }
  if (rest != nullptr) {
    *rest = resource(*groups * smallest, all->sm.smCount - *groups * smallest, splits, smallest);
  }
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::resource_generate_desc(CUdevResourceDesc* description, CUdevResource* parts, unsigned count) {
  Description joined;
  for (unsigned i = 0; i < count; ++i) {
    if (group_of(parts[i]).split != group_of(parts[0]).split) {
      return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    }
    for (unsigned at = 0; at < parts[i].sm.smCount; ++at) {
      joined.processors.insert(group_of(parts[i]).first + at);
    }
  }
  descriptions.push_back(std::make_unique<Description>(joined));
  *description = reinterpret_cast<CUdevResourceDesc>(descriptions.back().get());
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::green_ctx_create(CUgreenCtx* green, CUdevResourceDesc description, CUdevice, unsigned) {
  contexts.push_back(std::make_unique<FakeContext>());
  *contexts.back() = {as<Description>(description)->processors, true};
  return made(green, contexts.back().get());
}

CUresult FakeCuda::Impl::green_ctx_destroy(CUgreenCtx) { return gone(); }
CUresult FakeCuda::Impl::ctx_from_green_ctx(CUcontext* context, CUgreenCtx green) {
  return give(context, reinterpret_cast<CUcontext>(green));
}

}  // namespace tessera::device::test

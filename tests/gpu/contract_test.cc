// The contract on a GPU, whole and in parts. A case that breaks the processor breaks its process: each case runs in
// one of its own (ctest does so, and scripts/gpu-tests).
#include "tests/support/cuda/cuda_under_test.h"

namespace tessera::device::contract {
namespace {

std::optional<std::string> no_gpu() {
  return host_driver().ok() ? std::nullopt : std::optional(host_driver().error().message());
}

DeviceKind kind(const char* name, const char* spec, ProbeForm form = ProbeForm::kPlain) {
  return {name, [spec, form] { return make_cuda_under_test(*host_driver(), spec, form); }, no_gpu};
}

INSTANTIATE_TEST_SUITE_P(Cuda, DeviceContract,
                         testing::Values(kind("whole", "cuda:0"), kind("lower_half", "cuda:0/0-7"),
                                         kind("upper_half", "cuda:0/8-15"), kind("one_atom", "cuda:0/5"),
                                         kind("framed", "cuda:0", ProbeForm::kFramed),
                                         kind("by_worker", "cuda:0/0-3", ProbeForm::kByWorker),
                                         kind("mixed", "cuda:0/0-3", ProbeForm::kMixed)),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tessera::device::contract

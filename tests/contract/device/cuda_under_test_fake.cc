// The contract on the CUDA device over a driver in memory, so that its ordering, its ends and its faults are tested
// where there is no GPU. tests/gpu has it on a real one.
#include "tests/support/cuda/cuda_under_test.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/support/cuda/fake_plan_kernels.h"
#include "tests/support/cuda/fake_probe_kernels.h"

namespace tessera::device::contract {
namespace {

class OverFakeDriver final : public DeviceUnderTest {
 public:
  OverFakeDriver(const char* spec, ProbeForm form) {
    test::add_probe_kernels(driver_);
    test::add_plan_kernels(driver_);
    cuda_ = make_cuda_under_test(test::FakeCuda::table(), spec, form);
  }

  Device& device() override { return cuda_->device(); }
  void destroy_device() override { cuda_->destroy_device(); }
  std::unique_ptr<Gate> make_gate() override { return cuda_->make_gate(); }
  std::unique_ptr<Probe> make_probe(const ProbeWork& work) override { return cuda_->make_probe(work); }
  bool commits_at_launch() const override { return cuda_->commits_at_launch(); }
  std::set<std::uint16_t> atoms_of_this_thread() override { return cuda_->atoms_of_this_thread(); }

 private:
  test::FakeCuda driver_;
  std::unique_ptr<DeviceUnderTest> cuda_;
};

DeviceKind kind(const char* name, const char* spec, ProbeForm form = ProbeForm::kPlain) {
  return {name, [spec, form] { return std::make_unique<OverFakeDriver>(spec, form); }};
}

INSTANTIATE_TEST_SUITE_P(CudaOverFakeDriver, DeviceContract,
                         testing::Values(kind("whole", "cuda:0"), kind("upper_half", "cuda:0/2-3"),
                                         kind("one_atom", "cuda:0/1"), kind("framed", "cuda:0", ProbeForm::kFramed),
                                         kind("by_worker", "cuda:0", ProbeForm::kByWorker),
                                         kind("mixed", "cuda:0", ProbeForm::kMixed)),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tessera::device::contract

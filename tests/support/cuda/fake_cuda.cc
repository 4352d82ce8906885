#include "tests/support/cuda/fake_cuda.h"

#include <algorithm>

#include "tests/support/cuda/fake_cuda_impl.h"

namespace tessera::device::test {

FakeCuda::Impl* FakeCuda::current = nullptr;

FakeCuda::Impl::Impl(const Options& wanted) : options(wanted) {
  for (unsigned i = 0; i < options.processors; ++i) {
    primary.processors.insert(i);
  }
  thread = std::thread([this] { run(); });
}

FakeCuda::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex);
    closing = true;
  }
  changed.notify_all();
  thread.join();
}

FakeCuda::FakeCuda(const Options& options) : impl_(std::make_unique<Impl>(options)) { current = impl_.get(); }

FakeCuda::~FakeCuda() { current = nullptr; }

Driver FakeCuda::table() {
  Driver driver;
#define TESSERA_FAKE_ENTRY(member, entry) \
  driver.member = [](auto... arguments) -> CUresult { return Impl::enter(#entry, &Impl::member, arguments...); };
  TESSERA_CUDA_ENTRIES(TESSERA_FAKE_ENTRY)
#undef TESSERA_FAKE_ENTRY
  return driver;
}

FakeKernel* FakeCuda::add_kernel(FakeKernel kernel) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->kernels.emplace_back(std::make_unique<FakeKernel>(std::move(kernel))).get();
}

FakeKernel* FakeCuda::kernel(std::string_view name) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& kernel : impl_->kernels) {
    if (kernel->name == name) {
      return kernel.get();
    }
  }
  return nullptr;
}

void FakeCuda::fail(std::string_view entry, CUresult result, int after) {
  const std::lock_guard lock(impl_->mutex);
  impl_->failures.insert_or_assign(std::string(entry), std::pair(result, after));
}

void FakeCuda::break_down(CUresult result) {
  const std::lock_guard lock(impl_->mutex);
  impl_->broken = result;
  impl_->changed.notify_all();
}

void FakeCuda::part_cards() {
  const Impl::Lock lock(impl_->mutex);
  impl_->cards_apart = true;
}

void FakeCuda::hold_copies(bool held) {
  const std::lock_guard lock(impl_->mutex);
  impl_->copies_held = held;
  impl_->changed.notify_all();
}

std::vector<std::string> FakeCuda::calls() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->calls;
}

std::size_t FakeCuda::count(std::string_view entry) const {
  const std::lock_guard lock(impl_->mutex);
  return static_cast<std::size_t>(std::count(impl_->calls.begin(), impl_->calls.end(), entry));
}

void FakeCuda::forget_calls() {
  const std::lock_guard lock(impl_->mutex);
  impl_->calls.clear();
}

std::size_t FakeCuda::alive() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->alive;
}

}  // namespace tessera::device::test

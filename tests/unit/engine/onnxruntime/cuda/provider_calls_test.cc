// What stands in for calls of the CUDA provider: whose handles a session gets, what is copied and waited for where.
#include "engine/onnxruntime/cuda/provider_calls.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace tessera::engine {
namespace {

using Library = ProviderCalls::Library;

// What the libraries were really asked. The functions of the table have no argument to carry it.
struct Asked {
  std::atomic<int> device{0}, handles{0}, destroyed{0}, streams{0}, legacy_copies{0}, async_copies{0}, device_waits{0},
      mallocs{0}, frees{0};
  std::atomic<void*> copied_on{nullptr}, waited_for{nullptr};
};
std::unique_ptr<Asked> asked;

void* numbered(int number) { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(number)); }

int make_handle(void** handle) {
  *handle = numbered(100 + ++asked->handles);
  return 0;
}
int destroy_handle(void*) { return ++asked->destroyed, 0; }

CudaCalls table() {
  CudaCalls calls;
  calls.get_device = [](int* device) { return *device = asked->device, 0; };
  calls.memcpy = [](void*, const void*, std::size_t, int) { return ++asked->legacy_copies, 0; };
  calls.memcpy_async = [](void*, const void*, std::size_t, int, void* stream) {
    asked->copied_on = stream;
    return ++asked->async_copies, 0;
  };
  calls.stream_create = [](void** stream, unsigned flags) {
    EXPECT_EQ(flags, 1U) << "else it waits for the legacy stream";
    *stream = numbered(1000 + ++asked->streams);
    return 0;
  };
  calls.stream_synchronize = [](void* stream) { return asked->waited_for = stream, 0; };
  calls.device_synchronize = [] { return ++asked->device_waits, 0; };
  calls.malloc = [](void** at, std::size_t) { return *at = numbered(4096), ++asked->mallocs, 0; };
  calls.free = [](void*) { return ++asked->frees, 0; };
  calls.blas_create = calls.blas_lt_create = make_handle;
  calls.blas_destroy = calls.blas_lt_destroy = destroy_handle;
  return calls;
}

// One block, at a made-up address.
class Memory final : public MemorySource {
 public:
  Memory() : MemorySource(nullptr) {}
  Result<CUdeviceptr> allocate(std::size_t) override { return CUdeviceptr{0x10000}; }
  void release(CUdeviceptr at) override { released = at; }
  CUdeviceptr released = 0;
};

class ProviderCallsTest : public testing::Test {
 protected:
  void SetUp() override { asked = std::make_unique<Asked>(); }
  void* made(Library library) {
    void* handle = nullptr;
    EXPECT_EQ(calls_->create(library, &handle), 0);
    return handle;
  }

  std::unique_ptr<ProviderCalls> calls_ = std::make_unique<ProviderCalls>(table());
};

TEST_F(ProviderCallsTest, ASessionGetsTheHandlesOfItsThreadAndCard) {
  calls_->found_dnn(make_handle, destroy_handle);
  void* const blas = made(Library::kBlas);
  void* const dnn = made(Library::kDnn);
  EXPECT_NE(blas, dnn);
  EXPECT_EQ(calls_->destroy(Library::kBlas, blas), 0);
  EXPECT_EQ(made(Library::kBlas), blas) << "another session";
  EXPECT_EQ(made(Library::kDnn), dnn);
  EXPECT_EQ(asked->handles, 2);
  EXPECT_EQ(asked->destroyed, 0) << "letting go of one waits for every kernel";
  asked->device = 1;
  EXPECT_NE(made(Library::kBlas), blas) << "another card";
  asked->device = 0;
  void* elsewhere = nullptr;
  std::thread([&] { elsewhere = made(Library::kBlas); }).join();
  EXPECT_NE(elsewhere, blas) << "a handle is one thread's";
  void* next = nullptr;
  std::thread([&] { next = made(Library::kBlas); }).join();
  EXPECT_EQ(next, elsewhere) << "a thread that ended left it";
  EXPECT_EQ(calls_->destroy(Library::kBlas, numbered(7)), 0);
  EXPECT_EQ(asked->destroyed, 1) << "what is not ours is let go of";
}

TEST_F(ProviderCallsTest, AFailureIsNotKept) {
  CudaCalls broken = table();
  static int attempts;
  attempts = 0;
  broken.blas_create = [](void** handle) { return ++attempts == 1 ? 3 : make_handle(handle); };
  ProviderCalls calls(broken);
  void* handle = nullptr;
  EXPECT_NE(calls.create(Library::kBlas, &handle), 0);
  EXPECT_EQ(calls.create(Library::kBlas, &handle), 0);
  EXPECT_NE(handle, nullptr);
}

TEST_F(ProviderCallsTest, ACopyOfALoadIsWaitedForOnItsOwnStream) {
  std::array<std::byte, 4> bytes{};
  EXPECT_EQ(calls_->memcpy(bytes.data(), bytes.data(), 4, 1), 0);
  EXPECT_EQ(asked->legacy_copies, 1) << "outside a load nothing changes";
  void* const build = numbered(5);
  Memory memory;
  const ProviderCalls::Load load(build, memory);
  EXPECT_EQ(calls_->memcpy(bytes.data(), bytes.data(), 4, 1), 0);
  EXPECT_EQ(calls_->memcpy(bytes.data(), bytes.data(), 4, 2), 0);
  EXPECT_EQ(asked->legacy_copies, 1);
  EXPECT_EQ(asked->async_copies, 2);
  EXPECT_EQ(asked->streams, 1);
  EXPECT_EQ(asked->copied_on, numbered(1001));
  EXPECT_EQ(asked->waited_for, numbered(1001));
  EXPECT_EQ(calls_->memcpy(bytes.data(), bytes.data(), 4, 3), 0);
  EXPECT_EQ(asked->copied_on, build) << "processors copy within a card: the load's";
}

TEST_F(ProviderCallsTest, ALoadWaitsForItselfAlone) {
  void* const build = numbered(5);
  {
    Memory memory;
    const ProviderCalls::Load load(build, memory);
    EXPECT_EQ(calls_->device_synchronize(), 0);
    EXPECT_EQ(asked->device_waits, 0);
    EXPECT_EQ(asked->waited_for, build);
    asked->waited_for = nullptr;
    EXPECT_EQ(calls_->stream_synchronize(nullptr), 0);
    EXPECT_EQ(asked->waited_for, nullptr) << "the legacy stream";
    EXPECT_EQ(calls_->stream_synchronize(numbered(9)), 0);
    EXPECT_EQ(asked->waited_for, numbered(9));
  }
  EXPECT_EQ(calls_->device_synchronize(), 0);
  EXPECT_EQ(asked->device_waits, 1);
}

TEST_F(ProviderCallsTest, MemoryOfALoadComesFromItsSource) {
  Memory memory;
  void* at = nullptr;
  {
    const ProviderCalls::Load load(numbered(5), memory);
    ASSERT_EQ(calls_->malloc(&at, 100), 0);
  }
  EXPECT_EQ(at, numbered(0x10000));
  EXPECT_EQ(asked->mallocs, 0);
  EXPECT_EQ(calls_->free(at), 0);
  EXPECT_EQ(asked->frees, 0) << "it would wait for every kernel";
  EXPECT_EQ(memory.released, 0x10000U);
  ASSERT_EQ(calls_->malloc(&at, 100), 0);
  EXPECT_EQ(asked->mallocs, 1) << "outside a load nothing changes";
  EXPECT_EQ(calls_->free(at), 0);
  EXPECT_EQ(asked->frees, 1);
}

TEST_F(ProviderCallsTest, HandlesMadeAheadAreForThreadsThatLoadAndOneThatRuns) {
  calls_->found_dnn(make_handle, destroy_handle);
  const auto use_all = [&] {
    for (const Library library : {Library::kBlas, Library::kBlasLt, Library::kDnn}) {
      made(library);
    }
    Memory memory;
    const ProviderCalls::Load load(numbered(5), memory);
    EXPECT_EQ(calls_->memcpy(nullptr, nullptr, 0, 1), 0);
  };
  auto first = calls_->make_handles();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(asked->handles, 6);
  EXPECT_EQ(asked->streams, 2);
  std::thread([&] {
    use_all();
    std::thread(use_all).join();
    const auto second = calls_->make_handles();
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(asked->handles, 9) << "both are taken: one more of those that load";
    EXPECT_EQ(asked->streams, 3);
    std::thread([&] {
      use_all();
      std::thread(use_all).join();
    }).join();
    EXPECT_EQ(asked->handles, 9);
    EXPECT_EQ(asked->streams, 3);
  }).join();
  first->reset();
  ASSERT_TRUE(calls_->make_handles().ok());
  EXPECT_EQ(asked->handles, 9) << "those of engines that are gone are there";
}

TEST(ProviderCallsInstall, NeedsTheProvider) { EXPECT_FALSE(ProviderCalls::install().ok()) << "it is not loaded here"; }

}  // namespace
}  // namespace tessera::engine

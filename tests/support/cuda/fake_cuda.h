// CUDA's driver in memory: a table whose entries record that they were called, keep graphs that a test can look into,
// run streams in order on a thread of their own, and fail where a test asks for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "device/cuda/driver.h"

namespace tessera::device::test {

using Processors = std::set<unsigned>;

// One kernel that runs. Called by the fake's thread.
class FakeRun {
 public:
  enum class State { kRunning, kEnded, kTrapped };
  virtual ~FakeRun() = default;
  virtual State look() = 0;  // again and again until it has ended
};

struct FakeKernel {
  std::string name;
  std::vector<std::size_t> arguments;  // sizes
  bool bound = false;                  // belongs to a context, as kernels of modules do: no CUkernel
  // `arguments`: one address each. Nothing: takes no time.
  std::function<std::unique_ptr<FakeRun>(void** arguments, const Processors& on)> start;
  int blocks_per_processor = 8;
  std::size_t alignment = 8;  // of every argument
};

struct FakeContext {
  Processors processors;
  bool green = false;
};

struct FakeNode {
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
  FakeContext* context = nullptr;
  FakeNode* origin = nullptr;  // what it is a clone of
  // A kernel's:
  FakeKernel* kernel = nullptr;
  CUDA_KERNEL_NODE_PARAMS launch{};
  std::vector<std::vector<std::byte>> values;
  std::vector<void*> addresses;  // of the values
  bool cooperative = false;

  CUDA_MEMSET_NODE_PARAMS memset{};
  CUDA_MEMCPY3D copy{};
};

struct FakeEdge {
  FakeNode* from = nullptr;
  FakeNode* to = nullptr;
  CUgraphEdgeData data{};
};

struct FakeGraph {
  std::vector<std::unique_ptr<FakeNode>> nodes;
  std::vector<FakeEdge> edges;
};

struct FakeExec {
  FakeGraph graph;               // a copy; nodes' origins are the nodes instantiated
  std::vector<FakeNode*> order;  // as they run
  bool running = false;
  bool uploaded = false;
};

struct FakeEvent {
  std::uint64_t recorded = 0;
  std::uint64_t ended = 0;
};

// One command of a stream.
struct FakeCommand {
  enum class Kind { kGraph, kRecord, kWait, kWrite } kind = Kind::kGraph;
  FakeExec* exec = nullptr;            // kGraph: null for a single node
  std::shared_ptr<FakeGraph> nodes{};  // kGraph: with the values of the moment of launch
  std::size_t next = 0;
  std::unique_ptr<FakeRun> run{};
  bool begun = false;
  FakeEvent* event = nullptr;
  std::uint64_t version = 0;
  std::uint32_t* word = nullptr;
  std::uint32_t value = 0;
};

struct FakeStream {
  FakeContext* context = nullptr;
  unsigned flags = 0;
  std::deque<FakeCommand> queue;
  std::unique_ptr<FakeGraph> capture;
};

// Thread-safe, as the driver is. One at a time in a process: the table's entries find it through a static pointer.
class FakeCuda {
 public:
  struct Options {
    unsigned processors = 36;  // groups of `group`, as the driver splits, and a rest
    unsigned group = 8;
    unsigned most_groups = 1000;  // a real card's split leaves more over than division would
    int gpus = 1;
    int architecture = 90;
    std::size_t memory = 1ULL << 30;  // that can be mapped; what is allocated does not count
  };

  FakeCuda() : FakeCuda(Options{}) {}
  explicit FakeCuda(const Options& options);
  ~FakeCuda();
  FakeCuda(const FakeCuda&) = delete;
  FakeCuda& operator=(const FakeCuda&) = delete;

  static Driver table();

  FakeKernel* add_kernel(FakeKernel kernel);
  FakeKernel* kernel(std::string_view name);

  // The next call of that entry fails so, without doing anything; `after` calls of it still succeed.
  void fail(std::string_view entry, CUresult result, int after = 0);
  // From now on every call fails so.
  void break_down(CUresult result);

  // From now on no card has a way to another one's memory.
  void part_cards();

  // Until told otherwise no copy from the host's memory ends.
  void hold_copies(bool held);

  std::vector<std::string> calls() const;
  std::size_t count(std::string_view entry) const;
  void forget_calls();
  // What is still there of what was made, so that leaks show.
  std::size_t alive() const;

 private:
  struct Impl;
  static Impl* current;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera::device::test

// Streams, events and kernels of the driver in memory, and the thread that runs them.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "tests/support/cuda/fake_cuda_impl.h"

namespace tessera::device::test {
namespace {

constexpr std::chrono::microseconds kTick{20};

}  // namespace

CUresult FakeCuda::Impl::stream_create(CUstream* stream, unsigned flags) {
  streams.push_back(std::make_unique<FakeStream>());
  streams.back()->context = stack().empty() ? nullptr : stack().back();
  streams.back()->flags = flags;
  return streams.back()->context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : made(stream, streams.back().get());
}

CUresult FakeCuda::Impl::green_ctx_stream_create(CUstream* stream, CUgreenCtx green, unsigned flags, int) {
  if (flags != CU_STREAM_NON_BLOCKING) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  streams.push_back(std::make_unique<FakeStream>());
  streams.back()->context = as<FakeContext>(green);
  streams.back()->flags = flags;
  return made(stream, streams.back().get());
}

CUresult FakeCuda::Impl::stream_destroy(CUstream stream) {
  std::erase_if(streams, [&](const auto& one) { return one.get() == as<FakeStream>(stream); });
  return gone();
}

CUresult FakeCuda::Impl::stream_wait_event(CUstream stream, CUevent event, unsigned) {
  FakeCommand command{.kind = FakeCommand::Kind::kWait};
  command.event = as<FakeEvent>(event);
  command.version = command.event->recorded;
  return queue(stream, std::move(command));
}

CUresult FakeCuda::Impl::stream_write_value(CUstream stream, CUdeviceptr word, cuuint32_t value, unsigned) {
  FakeCommand command{.kind = FakeCommand::Kind::kWrite};
  command.word = reinterpret_cast<std::uint32_t*>(word);
  command.value = value;
  return queue(stream, std::move(command));
}

CUresult FakeCuda::Impl::stream_synchronize(CUstream stream) {
  Lock& lock = *held;
  changed.wait(lock, [&] { return as<FakeStream>(stream)->queue.empty() || broken != CUDA_SUCCESS; });
  return broken;
}

CUresult FakeCuda::Impl::stream_begin_capture(CUstream stream, CUstreamCaptureMode) {
  as<FakeStream>(stream)->capture = std::make_unique<FakeGraph>();
  return CUDA_SUCCESS;
}

CUresult FakeCuda::Impl::stream_end_capture(CUstream stream, CUgraph* graph) {
  graphs.push_back(std::move(as<FakeStream>(stream)->capture));
  return made(graph, graphs.back().get());
}

CUresult FakeCuda::Impl::event_create(CUevent* event, unsigned) {
  events.push_back(std::make_unique<FakeEvent>());
  return made(event, events.back().get());
}

CUresult FakeCuda::Impl::event_destroy(CUevent) { return gone(); }
CUresult FakeCuda::Impl::event_record(CUevent event, CUstream stream) {
  FakeCommand command{.kind = FakeCommand::Kind::kRecord};
  command.event = as<FakeEvent>(event);
  command.version = ++command.event->recorded;
  return queue(stream, std::move(command));
}

CUresult FakeCuda::Impl::event_query(CUevent event) {
  return as<FakeEvent>(event)->ended == as<FakeEvent>(event)->recorded ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult FakeCuda::Impl::event_synchronize(CUevent event) {
  Lock& lock = *held;
  changed.wait(lock, [&] { return event_query(event) == CUDA_SUCCESS || broken != CUDA_SUCCESS; });
  return broken;
}

CUresult FakeCuda::Impl::library_load_data(CUlibrary* library, const void*, CUjit_option*, void**, unsigned,
                                           CUlibraryOption*, void**, unsigned) {
  return made(library, this);
}

CUresult FakeCuda::Impl::library_unload(CUlibrary) { return gone(); }
CUresult FakeCuda::Impl::library_get_kernel(CUkernel* kernel, CUlibrary, const char* name) {
  const auto found = std::find_if(kernels.begin(), kernels.end(), [&](const auto& one) { return one->name == name; });
  if (found == kernels.end()) {
    return CUDA_ERROR_NOT_FOUND;
  }
  return give(kernel, reinterpret_cast<CUkernel>(found->get()));
}

CUresult FakeCuda::Impl::kernel_get_function(CUfunction* function, CUkernel kernel) {
  return give(function, reinterpret_cast<CUfunction>(kernel));
}

CUresult FakeCuda::Impl::kernel_get_name(const char** name, CUkernel kernel) {
  return give(name, as<FakeKernel>(kernel)->name.c_str());
}

CUresult FakeCuda::Impl::kernel_get_param_info(CUkernel kernel, std::size_t index, std::size_t* offset,
                                               std::size_t* size) {
  const auto& sizes = as<FakeKernel>(kernel)->arguments;
  const std::size_t alignment = as<FakeKernel>(kernel)->alignment;
  if (index >= sizes.size()) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *offset = 0;
  for (std::size_t i = 0; i < index; ++i) {
    *offset += (sizes[i] + alignment - 1) / alignment * alignment;
  }
  return give(size, sizes[index]);
}

CUresult FakeCuda::Impl::func_get_param_info(CUfunction function, std::size_t index, std::size_t* offset,
                                             std::size_t* size) {
  return kernel_get_param_info(reinterpret_cast<CUkernel>(function), index, offset, size);
}

CUresult FakeCuda::Impl::func_load(CUfunction) { return CUDA_SUCCESS; }

CUresult FakeCuda::Impl::launch_kernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned tx,
                                       unsigned ty, unsigned tz, unsigned shared, CUstream stream, void** values,
                                       void**) {
  auto node = kernel_node(as<FakeKernel>(function), nullptr, values);
  node->launch.gridDimX = x;
  node->launch.gridDimY = y;
  node->launch.gridDimZ = z;
  node->launch.blockDimX = tx;
  node->launch.blockDimY = ty;
  node->launch.blockDimZ = tz;
  node->launch.sharedMemBytes = shared;
  return add(stream, std::move(node));
}

// Work that is queued, or captured where the stream captures.
CUresult FakeCuda::Impl::add(CUstream handle, std::unique_ptr<FakeNode> node) {
  FakeStream& stream = *as<FakeStream>(handle);
  node->context = stream.context;
  if (stream.capture) {
    FakeGraph& graph = *stream.capture;
    if (!graph.nodes.empty()) {
      graph.edges.push_back({graph.nodes.back().get(), node.get(), {}});
    }
    graph.nodes.push_back(std::move(node));
    return CUDA_SUCCESS;
  }
  FakeCommand command;
  command.nodes = std::make_shared<FakeGraph>();
  command.nodes->nodes.push_back(std::move(node));
  return queue(handle, std::move(command));
}

CUresult FakeCuda::Impl::queue(CUstream stream, FakeCommand command) {
  as<FakeStream>(stream)->queue.push_back(std::move(command));
  return CUDA_SUCCESS;
}

void FakeCuda::Impl::run() {
  Lock lock(mutex);
  while (!closing) {
    bool moved = false;
    for (const auto& stream : streams) {
      while (broken == CUDA_SUCCESS && !stream->queue.empty() && step(stream->queue.front())) {
        stream->queue.pop_front();
        moved = true;
      }
    }
    if (moved) {
      changed.notify_all();
    }
    changed.wait_for(lock, kTick);
  }
}

// True: the command has ended.
bool FakeCuda::Impl::step(FakeCommand& command) {
  switch (command.kind) {
    case FakeCommand::Kind::kWait:
      return command.event->ended >= command.version;
    case FakeCommand::Kind::kRecord:
      command.event->ended = std::max(command.event->ended, command.version);
      return true;
    case FakeCommand::Kind::kWrite:
      std::atomic_ref(*command.word).store(command.value, std::memory_order_release);
      return true;
    case FakeCommand::Kind::kGraph:
      break;
  }
  if (!command.begun) {
    if (command.exec != nullptr && std::exchange(command.exec->running, true)) {
      return false;  // a graph does not run beside itself
    }
    command.begun = true;
  }
  const auto& nodes = command.nodes->nodes;
  while (command.next < nodes.size() && node_ended(command, *nodes[command.next])) {
    ++command.next;
  }
  if (command.next < nodes.size()) {
    return false;
  }
  if (command.exec != nullptr) {
    command.exec->running = false;
  }
  return true;
}

bool FakeCuda::Impl::node_ended(FakeCommand& command, FakeNode& node) {
  if (node.type == CU_GRAPH_NODE_TYPE_MEMSET) {
    std::memset(reinterpret_cast<void*>(node.memset.dst), static_cast<int>(node.memset.value), node.memset.width);
  } else if (node.type == CU_GRAPH_NODE_TYPE_MEMCPY) {
    if (copies_held && type_of(node.copy.srcDevice) == CU_MEMORYTYPE_HOST) {
      return false;
    }
    std::memcpy(reinterpret_cast<void*>(node.copy.dstDevice), reinterpret_cast<const void*>(node.copy.srcDevice),
                node.copy.WidthInBytes);
  } else if (node.type == CU_GRAPH_NODE_TYPE_KERNEL && node.kernel->start) {
    if (!command.run) {
      command.run = node.kernel->start(node.addresses.data(), node.context->processors);
    }
    const auto state = command.run ? command.run->look() : FakeRun::State::kEnded;
    if (state == FakeRun::State::kTrapped) {
      broken = CUDA_ERROR_LAUNCH_FAILED;
      changed.notify_all();
    }
    if (state != FakeRun::State::kEnded) {
      return false;
    }
    command.run.reset();
  }
  return true;
}

}  // namespace tessera::device::test

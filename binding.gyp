{
  'variables': {
    # 1 when the header is there; a static archive is preferred, since it leaves no run-time dependency.
    'have_liburing%': '<!(node scripts/liburing.mjs have)',
    'liburing%': '<!(node scripts/liburing.mjs link)',
    'sanitizer%': '',
    # 1 builds on Linux what other Unixes get (native/platform.h).
    'portable%': 0,
  },
  'targets': [
    {
      'target_name': 'ackgate',
      'sources': [
        'native/addon.cc',
        'native/binding_functions.cc',
        'native/create_sender.cc',
        'native/descriptors.cc',
        'native/epoll_poller.cc',
        'native/liburing_ring.cc',
        'native/owned_descriptors.cc',
        'native/pages.cc',
        'native/poll_poller.cc',
        'native/posix_sender.cc',
        'native/result_table.cc',
        'native/sender_core.cc',
        'native/socket_ops.cc',
        'native/uring_sender.cc',
        'native/wake_descriptor.cc',
      ],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': [
        'NAPI_VERSION=8',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        # A thread that is being terminated can call in once more, and can no longer throw: without this it aborts.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'cflags': ['-Wall', '-Wextra', '-Wno-unused-parameter'],
      'cflags_cc': ['-std=c++17', '-fvisibility=hidden'],
      'conditions': [
        ['portable==1', {'defines': ['ACKGATE_PORTABLE=1', 'HAVE_LIBURING=0']}, {
          'defines': ['HAVE_LIBURING=<(have_liburing)'],
          'conditions': [['have_liburing==1', {'libraries': ['<(liburing)']}]],
        }],
        # There the make files take no notice of cflags.
        ['OS=="mac"', {
          'xcode_settings': {
            'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
            'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
            'WARNING_CFLAGS': ['-Wall', '-Wextra', '-Wno-unused-parameter'],
          },
        }],
        ['sanitizer!=""', {
          'cflags': ['-fsanitize=<(sanitizer)', '-fno-omit-frame-pointer', '-g'],
          'ldflags': ['-fsanitize=<(sanitizer)'],
        }],
      ],
    },
  ],
}
